"""Files of a page's figures: which formats are written, kept and removed."""

from pathlib import Path

from matplotlib.figure import Figure

from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.figure_writer import figure_writer


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_formats_are_kept_until_others_are_asked_for(tmp_path: Path) -> None:
    folder, page = tmp_path / "report" / "figures", tmp_path / "report.html"

    def drawn() -> list[Drawing | NotDrawn]:
        figure = Figure(figsize=(1, 1))
        figure.add_subplot()
        return [Drawing("rate", "Rate", "A caption.", figure), NotDrawn("times", "none")]

    for asked, formats in (
        (None, ["svg"]),
        (["pdf", "png"], ["svg", "pdf", "png"]),
        (None, ["svg", "pdf", "png"]),  # those of the page that was there, of this data now
        (["png"], ["svg", "png"]),
        (["svg"], ["svg"]),
    ):
        writer = figure_writer(folder, page, asked)
        [figure], [missing] = writer.save([drawn], "group1-")
        assert names(folder) == {f"group1-rate.{kind}" for kind in formats}
        assert figure.files == {k: f"report/figures/group1-rate.{k}" for k in formats}
        assert missing.reason == "none"
        assert "<svg" in figure.svg
        others = [k.upper() for k in ("pdf", "png") if k not in formats]
        assert writer.others.startswith(" and ".join(others))
        assert bool(writer.others) == bool(others)
