"""The measurement on a GPU: it refuses where there is none, and its code runs on a CPU."""

import pytest
import torch

from tests.benchmarks.gpu import main


def test_it_refuses_in_one_line_without_cuda(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "needs a CUDA device" in said.err


@pytest.mark.slow
def test_its_rehearsal_fills_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rehearse"]) == 0
    out = capsys.readouterr().out
    assert "say nothing of a GPU" in out
    lines = [line.split("|") for line in out.splitlines() if line.startswith("|")][2:]
    assert [(line[1].strip(), line[2].strip()) for line in lines] == [
        (way, size)
        for way in ("eager", "graphs", "graphs, plain module", "graphs, plain module, bf16")
        for size in ("1", "2")
    ]
    assert all(float(line[3]) > 0 for line in lines)
