from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from retune.core import artifacts, manifests
from retune.core.errors import RetuneError
from retune.core.params import STRICT, LearningRate, Params, Positive, Seed, load_yaml, module_names
from retune.preflight.validation import Reading, read_params, unknown_sections


@dataclass(frozen=True, config=STRICT)
class Inner:
    n_best: Positive


@dataclass(frozen=True, config=STRICT)
class Section:
    lr: LearningRate
    epochs: Positive
    shuffle: bool
    name: str
    patience: Positive | None
    inner: Inner

    def __post_init__(self) -> None:
        if self.name == "clash" and self.epochs > 1:
            raise ValueError("name `clash` allows one epoch only")


GOOD = {
    "lr": "3e-5",
    "epochs": "2",
    "shuffle": "true",
    "name": "plain",
    "patience": "null",
    "inner": "{n_best: 20}",
}


def write(folder: Path, **changes: str | None) -> Path:
    values = {key: value for key, value in (GOOD | changes).items() if value is not None}
    lines = [f"  {key}: {value}" for key, value in values.items()]
    path = folder / "params.yaml"
    path.write_text("\n".join(["task:", *lines]) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Section:
    with Params(path) as params:
        return params.section("task", Section)


def test_a_good_section_becomes_its_dataclass(tmp_path: Path) -> None:
    section = read(write(tmp_path))
    assert section == Section(
        lr=3e-5, epochs=2, shuffle=True, name="plain", patience=None, inner=Inner(n_best=20)
    )


@pytest.mark.parametrize("text", ["3e-5", "3.0e-5", "3E-05", "0.00003", "+3e-5", ".00003"])
def test_every_spelling_of_a_float_is_a_float(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, lr=text)).lr == 3e-5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lr": "'3e-5'"}, r"params.yaml: task.lr: input should be a valid number; got '3e-5'"),
        ({"lr": "abc"}, r"task.lr: input should be a valid number; got 'abc'"),
        ({"lr": "0.0"}, r"task.lr: input should be greater than 0"),
        ({"lr": "1e30"}, r"task.lr: input should be less than or equal to 1"),
        ({"lr": "-.1"}, r"task.lr: input should be greater than 0"),
        ({"lr": ".nan"}, r"task.lr: .*; got nan"),
        ({"lr": ".inf"}, r"task.lr: .*; got inf"),
        ({"epochs": "0"}, r"task.epochs: input should be greater than or equal to 1; got 0"),
        ({"epochs": "-1"}, r"task.epochs: input should be greater"),
        ({"epochs": "8.0"}, r"task.epochs: input should be a valid integer; got 8.0"),
        ({"epochs": "'8'"}, r"task.epochs: input should be a valid integer; got '8'"),
        ({"epochs": "1_000.0"}, r"task.epochs: input should be a valid integer; got 1000.0"),
        ({"epochs": "1:30"}, r"task.epochs: input should be a valid integer; got '1:30'"),
        ({"epochs": "true"}, r"task.epochs: input should be a valid integer; got True"),
        ({"shuffle": "yes"}, r"task.shuffle: input should be a valid boolean; got 'yes'"),
        ({"shuffle": "1"}, r"task.shuffle: input should be a valid boolean; got 1"),
        ({"name": "7"}, r"task.name: input should be a valid string; got 7"),
        ({"epochs": None}, r"params.yaml: task.epochs: missing"),
        ({"learnig_rate": "1"}, r"task.learnig_rate: unknown key \(allowed: lr, "),
        ({"epoch": "1"}, r"task.epoch: unknown key, did you mean `epochs`\?"),
        ({"inner": "{n_bst: 1}"}, r"task.inner.n_bst: unknown key, did you mean `n_best`\?"),
        ({"inner": "{n_best: 0}"}, r"task.inner.n_best: input should be greater"),
        ({"inner": "3"}, r"task.inner: .*; got 3"),
        ({"name": "clash"}, r"task: name `clash` allows one epoch only"),
    ],
)
def test_a_bad_value_is_named_with_file_and_section(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(RetuneError, match=message):
        read(write(tmp_path, **changes))


def test_all_problems_of_all_sections_are_reported_together(tmp_path: Path) -> None:
    path = write(tmp_path, lr="x", epochs="0", typo="1")
    with pytest.raises(RetuneError) as caught, Params(path) as params:
        params.section("task", Section)
        params.section("absent.section", Section)
        params.section("task.name", int)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "task.lr", "task.epochs", "task.typo", "absent.section", "task.name",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["-1", str(2**32), "1.5", "'7'", "null", "true"])
def test_a_seed_is_an_integer_of_32_bits(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, epochs=text)
    with pytest.raises(RetuneError, match=r"task.epochs: "), Params(path) as params:
        params.section("task.epochs", Seed)


@pytest.mark.parametrize(
    ("text", "epochs"), [("010", 10), ("1_000", 1000), ("0x10", 16), ("0o17", 15), ("+1", 1)]
)
def test_integers_are_those_of_dvc(tmp_path: Path, text: str, epochs: int) -> None:
    assert read(write(tmp_path, epochs=text)).epochs == epochs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected sections \(`name: ...`\), got None"),
        ("- 1\n- 2\n", r"expected sections .* got \[1, 2\]"),
        ("a: 1\nb: 2\na: 3\n", "key 'a' appears at lines 1 and 3"),
        ("a:\n\tb: 1\n", "found character .* cannot start any token"),
        ("? [1, 2]\n: 3\n", "line 1: a key must be a plain name"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "line 3: a key must be a plain name; no merges"),
        ("a: !!timestamp foo\n", "a value does not fit its tag"),
        ("a: !!timestamp 2001-01-01\n", "Object of type date is not JSON"),
        ("a: !!bool maybe\n", "a value does not fit its tag"),
        ("a: &a [*a]\n", "Circular reference detected"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply to be parameters"),
        ("1: 2\n01: 3\n", 'line 1: a key must be a plain name; write "1" in quotes'),
        ("a:\n  true: x\n", 'line 2: a key must be a plain name; write "true" in quotes'),
        ("a: !!python/object/apply:os.getcwd []\n", "could not determine a constructor"),
        ("b: 1\na: !x 1\n", r"does not fit its tag .*the tag '!x' \(line 2\); write it in quotes"),
        ("a: 2001-99-99\n", r"does not fit its tag .* or form: month must be .* \(line 1\)"),
        ('a: !!timestamp "b\\nc"\n', 'failed to construct timestamp from "b c"'),
        ("a: !!int ''\n", r"does not fit its tag .*\(line 1\)"),
        ("a: !!omap [b: 1, b: 2]\n", "does not fit its tag .*: a name appears twice"),
        ("%YAML 1.3\n---\na: 1\n", r"version minor part can only be 2 or 1"),
        ("a: 1\n---\nb: 2\n", r"expected a single document .*\(line 1\).*another .*\(line 2\)$"),
        ("a: [1,\nb: {c: 1\n", r"while parsing a flow mapping \(line 2\): expected .*$"),
        ("a: \x01\n", "special characters are not allowed"),
        ("=: 1\n", 'line 1: a key must be a plain name; write "=" in quotes'),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RetuneError, match=f"params.yaml: .*{message}"):
        load_yaml(path)


def test_a_missing_file_and_a_wrong_encoding_are_sentences(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(RetuneError, match="no such file; run from the project's top folder"):
        load_yaml(path)
    path.write_bytes("a: é".encode("latin-1"))
    with pytest.raises(RetuneError, match="not UTF-8 at byte 3"):
        load_yaml(path)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"\xef\xbb\xbfa:\r\n  b: 1\r\n")
    assert load_yaml(path) == {"a": {"b": 1}}


SCALARS = """
    1_000 0x10 0X10 0x_1F 0x 0o17 0o7 0o9 0b101 017 010 08 +1 -0 1__0 _1
    3e-5 1e3 1E+03 1e-05 3e5 .5 1. -.5 +.5e+1 1_0.5 1e 1.5.2 1e999 .inf -.INF .nan .NaN
    yes on NO Off y true True tRue ~ null NULL nUll '' "" "quoted" '1' "0x10"
    1:30 12:30:45 2001-1-1 '2001-01-01' a:b http://x.org/y:1 "&x" [1_0,0o7,yes,] {x:0x1}
"""


@pytest.mark.parametrize(
    "text", ["", '"a: b"', "c:/x y", "a b # no", "! 017", "!!str 017", "!!int '3'"]
)
def test_stages_and_dvc_read_the_same_value(tmp_path: Path, text: str) -> None:
    require_equal(tmp_path, f"a: {text}\n")


@pytest.mark.filterwarnings("ignore::ruamel.yaml.error.YAMLWarning")  # of DVC's own parsing
@pytest.mark.parametrize("head", ["", "%YAML 1.2\n---\n", "%YAML 1.1\n---\n"])
def test_stages_and_dvc_read_the_same_values(tmp_path: Path, root: Path, head: str) -> None:
    require_equal(tmp_path, head + "".join(f"k{i}: {v}\n" for i, v in enumerate(SCALARS.split())))
    require_equal(tmp_path, (root / "params.yaml").read_text(encoding="utf-8"))


def require_equal(folder: Path, text: str) -> None:
    """Fail where a value or its type is another for DVC; NaN is equal to NaN."""
    from dvc.utils.serialize import parse_yaml

    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    ours, theirs = load_yaml(path), parse_yaml(text, path)
    assert {key: repr(value) for key, value in ours.items()} == {
        key: repr(value) for key, value in theirs.items()
    }


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2001-01-01", "date"),
        ("2001-01-01T10:00:00Z", "datetime"),
        ("!!binary aGk=", "bytes"),
        ("!!set {b}", "set"),
    ],
)
def test_a_value_of_dvcs_that_json_cannot_hold_is_refused(
    tmp_path: Path, value: str, kind: str
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"b: 1\na: {value}\n", encoding="utf-8")
    said = rf"Object of type {kind} is not JSON serializable \(line 2\); write it in quotes"
    with pytest.raises(RetuneError, match=said):
        load_yaml(path)


def test_an_unknown_variant_lists_the_choices(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("qa: {model: brt}\n", encoding="utf-8")
    names = ", ".join(module_names("retune.tasks.qa.models"))
    assert "bert" in names
    with (
        pytest.raises(RetuneError, match=f"qa.model: no 'brt'; allowed: {names}"),
        Params(path) as params,
    ):
        params.variant("qa.model", "retune.tasks.qa.models", "qa.models")


def test_the_stages_ask_for_the_sections_of_the_params_file(root: Path) -> None:
    names = [name.split(".") for reading in read_params(root) for name in reading.asked]
    assert {task for task, *_ in names} == {"qa"}  # other tasks have params files of their own
    assert {section for _, section, *_ in names} == set(load_yaml(root / "params.yaml")["qa"])


#: What the stages of a pipeline ask for: those of one task with a variant, one of another without.
READINGS = [
    Reading("a", None, {}, asked=("adapters.language", "adapters.entities", "variants")),
    Reading("b", "slow", {}, asked=("qa.model", "qa.models.bert", "qa.train.lr", "qa.seed")),
]


def refuse_unknown(path: Path) -> None:
    if problems := unknown_sections(READINGS, path.parent):
        raise RetuneError("\n".join(problems))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{model: bert, sede: 7}",
            r"^\S+/params\.yaml: qa\.sede: unknown key, did you mean `seed`\? "
            r"\(allowed: model, models, train, seed\)$",
        ),
        (
            "{model: bert}\ntrain: {lrr: 1}",
            r"train: unknown key \(allowed: adapters, qa, variants\)$",
        ),
    ],
)
def test_unknown_sections_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"qa: {text}\n", encoding="utf-8")
    with pytest.raises(RetuneError, match=message):
        refuse_unknown(path)
    failed = Reading("c", None, {}, ("dvc.yaml: stages.c: no such module",))
    assert unknown_sections([*READINGS, failed], tmp_path) == []  # it may read more


def test_a_task_that_is_a_plain_value_has_no_sections(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("task: {lr: 1}\nvariants: {a: {}}\n", encoding="utf-8")
    assert unknown_sections([Reading("a", None, {}, asked=("task",))], tmp_path) == []


def test_the_section_of_a_model_that_there_is_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("qa: {model: bert, models: {bert: {}, lsmt: {}}}\n", encoding="utf-8")
    said = r"qa\.models\.lsmt: .* `lstm`\?"
    with pytest.raises(RetuneError, match=said), Params(path) as params:
        params.variant("qa.model", "retune.tasks.qa.models", "qa.models")


@pytest.mark.parametrize(
    ("text", "name", "hint"),
    [
        ("qa: {donwload: 1}", "qa.download", r"; is `qa\.donwload` meant to be `qa\.download`\?"),
        ("qaa: {seed: 1}", "qa.seed", r"; is `qaa` meant to be `qa`\?"),
        ("qa: {model: a}", "qa.models", ""),  # it is read itself
        ("qa: {seed: 1}", "qa.checkpoint", ""),
        ("qa: 1", "qa.checkpoint", ""),
    ],
)
def test_a_missing_section_is_looked_for_under_a_misspelt_name(
    text: str, name: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    said = rf"params\.yaml: {name}: missing{hint}$"
    with pytest.raises(RetuneError, match=said), Params(path) as params:
        if "model" in text:
            params.section("qa.model", str)
        params.section(name, dict)  # type: ignore[type-abstract]


TOY = """
toy: {model: small, checkpoint: here, depth: 3, seed: 1}
variants: {deep: {depth: 9}}
"""


def test_a_new_task_needs_no_entry_in_any_module(tmp_path: Path) -> None:
    path = variants_file(tmp_path, TOY)
    with Params(path, "deep") as params:
        assert params.section("toy.depth", Positive) == 9
        params.section("toy.model", str)
        params.section("toy.checkpoint", str)
    with artifacts.sealed(params.read, reads={}, writes={"model": tmp_path / "model"}):
        (tmp_path / "model").mkdir()
    shared = {"toy.checkpoint": "here", "toy.model": "small"}
    assert manifests.read(tmp_path / "model")["params"] == shared
    reads = {"model": tmp_path / "model"}
    with artifacts.sealed(params.read, reads=reads, writes={}):
        pass
    other, said = {"toy.model": "large"}, "made with toy.model 'small', while .* say 'large'"
    with pytest.raises(RetuneError, match=said), artifacts.sealed(other, reads=reads, writes={}):
        pass
    readings = [Reading("toy", "deep", params.read, asked=("toy.seed", *params.asked))]
    assert unknown_sections(readings, tmp_path) == []
    variants_file(tmp_path, TOY.replace("depth: 9", "dept: 9"))
    (problem,) = unknown_sections(readings, tmp_path)
    assert "variants.deep.dept: unknown key, did you mean `depth`?" in problem


def test_bounds_work_on_plain_types(tmp_path: Path) -> None:
    path = write(tmp_path)
    with Params(path) as params:
        assert params.section("task.epochs", Annotated[int, Field(ge=2)]) == 2


VARIANTS = """
qa:
  seed: 1
  train: {lr: 1e-3, epochs: 2}
adapters:
  language: {lr: 2e-3}
variants:
  slow:
    train: {epochs: 9}
  wide:
    model: bert
    seed: null
"""


def variants_file(folder: Path, text: str = VARIANTS) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("variant", "train", "seed"),
    [
        (None, {"lr": 1e-3, "epochs": 2}, 1),
        ("slow", {"lr": 1e-3, "epochs": 9}, 1),
        ("wide", {"lr": 1e-3, "epochs": 2}, None),
    ],
)
def test_a_variant_is_merged_over_qa_and_what_was_read_is_what_came_of_it(
    variant: str | None, train: dict[str, float], seed: int | None, tmp_path: Path
) -> None:
    with Params(variants_file(tmp_path), variant) as params:
        params.section("qa.train", dict[str, float])
        assert params.section("qa.seed", Seed | None) == seed  # type: ignore[arg-type]
        params.section("adapters.language", dict[str, float])
    assert params.read == {
        "qa.train": train, "qa.seed": seed, "adapters.language": {"lr": 2e-3},
    }  # fmt: skip


def test_a_variant_changes_the_task_that_is_read(tmp_path: Path) -> None:
    text = "qa: {seed: 1}\nsentiment: {seeds: [1]}\nvariants: {two: {seeds: [1, 2]}}\n"
    with Params(variants_file(tmp_path, text), "two") as params:
        assert params.section("sentiment.seeds", list[int]) == [1, 2]
        assert params.section("variants", dict[str, dict[str, list[int]]]) == {
            "two": {"seeds": [1, 2]}
        }
        assert params.values["qa"] == {"seed": 1}
        assert params.values["sentiment"] == {"seeds": [1]}  # as the file has it


@pytest.mark.parametrize(
    ("variant", "text", "message"),
    [
        ("fast", VARIANTS, r"params\.yaml: variants: no 'fast'; allowed: slow, wide$"),
        ("slow", "qa: {seed: 1}", r"variants: no 'slow'; allowed: none, the file has no such"),
        ("slow", "qa: {}\nvariants: [slow]", r"variants: expected names with .* got \['slow'\]"),
    ],
)
def test_a_variant_that_there_is_not_is_refused(
    variant: str, text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RetuneError, match=message), Params(variants_file(tmp_path, text), variant):
        pass


@pytest.mark.parametrize("task", ["qa", "sentiment"])
def test_a_variant_without_settings_is_refused_once(task: str, tmp_path: Path) -> None:
    path = variants_file(tmp_path, f"{task}: {{a: 1, b: 2}}\nvariants: {{slow: 3}}")
    said = rf"^\S+: variants\.slow: expected settings of `{task}`, got 3$"
    with pytest.raises(RetuneError, match=said), Params(path, "slow") as params:
        params.section(f"{task}.a", int)
        params.section(f"{task}.b", int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (VARIANTS + "    sede: 7", r"variants\.wide\.sede: unknown key, did you .* `seed`\?"),
        ("qa: {}\nvariants: {slow: 3}", r"variants\.slow: expected settings of `qa`, got 3"),
        ("qa: {}\nvariants: [slow]", r"variants: expected names with .* got \['slow'\]"),
        ("qa: {}\nadapters: {langage: 1}", r"adapters\.langage: .* `language`\?"),
        ("qa: {}\nvariants: {slow: {language: 1}}", r"variants\.slow\.language: unknown key"),
    ],
)
def test_bad_variants_are_refused_before_any_stage(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RetuneError, match=message):
        refuse_unknown(variants_file(tmp_path, text))


def test_variants_of_a_pipeline_without_such_a_stage_may_change_any_task(tmp_path: Path) -> None:
    path = variants_file(tmp_path, "variants: {a: {seed: 1, language: {}, langage: {}}, b: 3}")
    plain = [Reading(one.module, None, {}, asked=one.asked) for one in READINGS]
    (unknown, expected) = unknown_sections(plain, path.parent)
    assert "variants.a.langage: unknown key, did you mean `language`?" in unknown
    assert "variants.b: expected settings of `adapters`, `qa`, got 3" in expected


def test_an_unknown_key_deep_in_a_variant_is_one_of_its_section(tmp_path: Path) -> None:
    path = variants_file(tmp_path, "qa: {seed: 1}\nvariants: {odd: {train: {epoch: 1}}}\n")
    with (
        pytest.raises(RetuneError, match=r"qa\.train\.epoch: unknown key, did you mean `epochs`"),
        Params(path, "odd") as params,
    ):
        params.section("qa.train", Section)
