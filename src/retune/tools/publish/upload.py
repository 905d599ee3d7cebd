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
        HFValidationError,
        HTTPError,
    )

    api = HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Publish a model trained with retune"
        )
    except HFValidationError as error:
        raise RetuneError(f"--push {name}: no id of the hub ({excerpt(str(error), 120)})") from None
    except (HfHubHTTPError, HTTPError, OSError) as error:
        first = str(error).strip().partition("\n")[0]
        raise RetuneError(
            f"--push {name}: not uploaded ({excerpt(first, 200)}). {folder} is complete: log in "
            "with `hf auth login`, and give the command again"
        ) from None
    return str(done.commit_url)
