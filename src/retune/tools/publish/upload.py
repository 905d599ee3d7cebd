"""Upload a published folder to the Hugging Face hub."""

from pathlib import Path

from retune.core.errors import RetuneError, excerpt


def upload(folder: Path, name: str, *, private: bool) -> str:
    """Create the repository `name` if needed, and upload the folder as one commit.

    Returns:
        the address of the commit.

    Raises:
        RetuneError: the hub refuses it, or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        HfHubHTTPError,
        HTTPError,
    )

    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            raise RetuneError(
                f"--push {name}: the repository exists and is public; leave out --private, or make "
                "it private on the hub first"
            )
        done = api.upload_folder(
            repo_id=name,
            folder_path=folder,
            commit_message="Publish a model trained with retune",
            delete_patterns="*",  # records of an earlier commit
        )
    except (HfHubHTTPError, HTTPError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise RetuneError(
            f"--push {name}: not uploaded ({excerpt(first, 200)}). {folder} is complete. Check "
            "the network and `hf auth whoami`, and give the command again"
        ) from None
    return str(done.commit_url)
