"""Chinese and English on the command line: who decides, what is said, and what stays English."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hisauto.cli.helptext import fill
from hisauto.cli.language import choose, language, tr, use, use_sites
from hisauto.cli.lazy import Group
from hisauto.cli.root import cli
from hisauto.cli.translation import Catalog, entries
from tests.cli.conftest import TestSite
from tests.cli.test_errors import CASES
from tests.cli.test_help import ALL, HEAVY

WIDE = re.compile(r"[\u4e00-\u9fff]")
PROSE = re.compile(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b")
"""English that nobody types."""


@pytest.mark.parametrize(
    ("argv", "env", "chosen"),
    [
        ("", {}, None),
        ("runs", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("runs", {"LANG": "zh"}, "zh"),
        ("runs", {"LANG": "zh-Hans"}, "zh"),
        ("runs", {"LANG": "en_GB.UTF-8"}, "en"),
        ("runs", {"LANG": "C"}, "en"),
        ("runs", {"LANG": "C.UTF-8"}, "en"),
        ("runs", {"LANG": "POSIX"}, "en"),
        ("runs", {"LANG": "de_DE@euro"}, None),
        ("runs", {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ("runs", {"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "C"}, "zh"),
        ("runs", {"LC_ALL": "de_DE", "LANG": "zh_CN"}, None),
        ("--lang zh runs", {"LC_ALL": "C"}, "zh"),
        ("runs --lang=en", {"LANG": "zh_CN"}, "en"),
        ("--lang en runs --lang zh", {}, "zh"),
        ("--lang xx", {"LANG": "zh_CN"}, None),
        ("runs --lang", {"LANG": "zh_CN"}, None),
        ("run x -- --lang zh", {}, None),
    ],
)
def test_who_decides(argv: str, env: dict[str, str], chosen: str | None) -> None:
    assert choose(argv.split(), env) == chosen


def test_the_site_decides_last() -> None:
    for asked, site, spoken in ((None, "zh", "zh"), ("en", "zh", "en"), ("zh", "en", "zh"), (None, "en", "en")):
        use(asked)
        use_sites(site)
        assert language() == spoken


def test_a_language_that_is_not_there_is_a_mistake() -> None:
    result = CliRunner().invoke(cli, ["--lang", "fr", "runs"], prog_name="hisauto")
    assert result.exit_code == 2 and "'fr'" in result.stderr and "'zh'" in result.stderr
    assert result.stderr.startswith("error: ") and "hint: hisauto --help" in result.stderr


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=lambda path: " ".join(path) or "hisauto")
def test_every_help_is_chinese(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, ["--lang", "zh", *path, "--help"], prog_name="hisauto")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("用法：") and "选项：" in result.stdout and "显示此帮助并退出。" in result.stdout
    left = [line for line in result.stdout.splitlines() if PROSE.search(line) and "hisauto " not in line]
    assert left == []


def test_wide_characters_are_set_within_the_width() -> None:
    from rich.cells import cell_len

    text = "只查看，不作任何改动（包括主机）。RUNBOOK 现在 执行会做什么：涉及哪些主机、every guard，以及每一步。" * 3
    for width in (20, 33, 78):
        lines = fill(text, width)
        assert max(map(cell_len, lines)) <= width and "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert not [line for line in lines if line[0] in "，。：、）" or line[-1] == "（"]


def test_every_group_speaks() -> None:
    import click

    assert [path for path, command in ALL if isinstance(command, click.Group) and not isinstance(command, Group)] == []


@pytest.mark.parametrize("argv", ["--lang zh --help", "--help --lang zh", "run --help --lang zh"])
def test_wherever_it_stands(argv: str) -> None:
    assert CliRunner().invoke(cli, argv.split(), prog_name="hisauto").stdout.startswith("用法：")


@pytest.mark.parametrize(("who", "argv", "code"), [c[1:4] for c in CASES], ids=[c[0] for c in CASES])
def test_every_mistake_is_told_in_chinese(site: TestSite, who: str | None, argv: list[str], code: int) -> None:
    result = site.invoke("--lang", "zh", *argv, who=who)
    assert result.exit_code == code
    told = result.stderr.splitlines()
    (error,) = [line for line in told if line.startswith("错误：")]
    assert WIDE.search(error.removeprefix("错误：")), error
    for line in told:
        assert line.startswith(("错误：", "提示：")), line
        assert not PROSE.search(line.replace("The folder is there", "")), line


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["rnu"], "没有命令“rnu”：是否指“run”？"),
        (["run"], "缺少参数 'RUNBOOK'"),
        (["runs", "--nope"], "没有选项 '--nope'"),
        (["decide", "r", "s", "maybe"], "'maybe' 不在可选范围内"),
        (["reject", "r"], "缺少选项 '--reason'"),
        (["runs", "--limit", "many"], "'many' 不是有效的"),
        (["runs", "--limit", "0"], "不在范围"),
        (["audit"], "缺少命令。"),
    ],
)
def test_wrong_use_is_told_in_chinese(argv: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["--lang", "zh", *argv], prog_name="hisauto")
    assert result.exit_code == 2 and said in result.stderr and result.stderr.startswith("错误：")
    assert "提示：hisauto" in result.stderr


def test_mistakes_in_a_file(site: TestSite) -> None:
    (site.root / "runbooks" / "hello.yml").write_text("runbook: hello\nversion: 1\nkind: rutine\nstpes: []\n")
    shown = site.invoke("--lang", "zh", "check", str(site.root / "runbooks" / "hello.yml")).stdout
    where = "hello.yml:4:1: 错误: 未知的词 'stpes' [HA101]"
    for words in (where, "= 提示：是否指“steps”？", "stpes: []", "个错误，0 个警告"):
        assert words in shown, shown


def test_the_sites_language_is_for_whoever_names_none(site: TestSite) -> None:
    settings = json.loads((site.root / "hisauto.yml").read_text())
    settings["site"]["language"] = "zh"
    (site.root / "hisauto.yml").write_text(json.dumps(settings))
    bare = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}
    site.env |= bare
    assert "问好" in site.invoke("runbooks").stdout
    assert site.invoke("show", "r-nope").stderr.startswith("错误：没有执行 r-nope 的记录")
    assert "Say hello" in site.invoke("runbooks", "--lang", "en").stdout
    site.env |= {"LANG": "C"}
    assert "Say hello" in site.invoke("runbooks").stdout
    (site.root / "hisauto.yml").write_text(json.dumps({"site": {"language": "fr"}}))
    assert "expected a language, en or zh, not 'fr'" in site.invoke("runbooks").stderr


def test_what_machines_read_is_the_same_in_every_language(site: TestSite) -> None:
    for argv in (["runbooks"], ["plan", "hello", "-p", "folder=/nope"], ["runs"], ["hosts"], ["check"]):
        english, chinese = (site.invoke("--lang", spoken, *argv, "--json") for spoken in ("en", "zh"))
        assert json.loads(english.stdout) == json.loads(chinese.stdout) or argv[0] == "plan"
        assert not WIDE.search(chinese.stdout), argv


def test_a_plan(site: TestSite) -> None:
    shown = site.invoke("--lang", "zh", "plan", "hello", "-p", f"folder={site.root}").stdout
    for words in ("hello 1.0.0  问好", "参数", "前置检查  成立", "步骤", "回退办法", "由人决定", "将变更", "撤销"):
        assert words in shown, shown
    refused = site.invoke("--lang", "zh", "plan", "hello", "-p", "folder=/nope").stdout
    assert "不成立" in refused and "现在执行会被拒绝：The folder is there：节点" in refused


def spoken_by(site: TestSite, *argv: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "hisauto", "--site", str(site.root), *argv]
    return subprocess.run(command, env={**os.environ, **env}, capture_output=True, check=False)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("utf-8", "问好"), ("gb18030", "问好"), ("gbk", "问好"), ("ascii", "Say hello"), ("latin-1", "Say hello")],
)
def test_a_terminal_that_can_not_show_it_gets_english(site: TestSite, encoding: str, shown: str) -> None:
    done = spoken_by(site, "runbooks", LC_ALL="zh_CN.UTF-8", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and done.stderr == b""
    assert shown in done.stdout.decode(encoding)


def test_help_loads_only_what_it_needs() -> None:
    code = (
        "import sys\nfrom hisauto.cli import main\nsys.argv = ['hisauto', '--lang', {!r}, '--help']\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "print('\\nMODULES', *sorted({{m.partition('.')[0] for m in sys.modules}}),"
        " 'hisauto.cli.translation' in sys.modules)"
    )
    for spoken, translates in (("en", "False"), ("zh", "True")):
        done = subprocess.run([sys.executable, "-c", code.format(spoken)], capture_output=True, text=True, check=True)
        loaded = set(done.stdout.partition("\nMODULES")[2].split())
        assert not loaded & {*HEAVY, "babel"} and translates in loaded


def test_reading_a_catalog() -> None:
    head = '# a\nmsgid ""\nmsgstr "Language: zh\\n"\n\n'
    text = head + 'msgid "one"\nmsgstr ""\n\nmsgid ""\n"t\\"w"\n"o"\nmsgstr "两\\n个"\n'
    assert dict(entries(text)) == {'t"wo': "两\n个"}


def test_what_is_strung_together_is_told_piece_by_piece() -> None:
    catalog = Catalog({
        "{name}: no connection: {why}": "{name}：无法连接：{why}", "it ran out of time": "超时",
        "{n} of {m}, all {m2} wanted": "{m} 台中有 {n} 台，应为全部 {m2} 台", "undo": "撤销", "use {{x}}": "用 {{x}}",
    })  # fmt: skip
    for english, chinese in (
        ("db1: no connection: it ran out of time", "db1：无法连接：超时"),
        ("db1: no connection: boo; db2: no connection: bah", "db1：无法连接：boo；db2：无法连接：bah"),
        ("1 of 2, all 2 wanted: db1: it ran out of time", "2 台中有 1 台，应为全部 2 台：db1：超时"),
        ("Stop it: never: db1: no connection: it ran out of time", "Stop it：never：db1：无法连接：超时"),
        ("row.x (it ran out of time)", "row.x（超时）"),
        ("  undo ", "  撤销 "),
        ("use {x}", "用 {x}"),
        ("undo it: now (or never); please", "undo it: now (or never); please"),
        ("", ""),
    ):
        assert catalog.translate(english) == chinese


def test_somebodys_words_are_left_alone(site: TestSite) -> None:
    use("zh")
    assert tr("no way back after: undo (done)") == "此后不可回退：undo（done）"
    assert tr("run r-1 does not wait at nobody decided in time") == "执行 r-1 不在审批点 nobody decided in time 等待"


def test_the_catalog_ships_with_hisauto() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "*.po" in project["tool"]["setuptools"]["package-data"]["*"]
