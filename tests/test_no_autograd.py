"""Nothing of autograd runs during the whole disc job."""

from __future__ import annotations

import pytest
import torch

from backhand.cli import main

ENTRIES = [
    (torch.autograd, "backward"),
    (torch.autograd, "grad"),
    (torch.autograd.Function, "apply"),
    (torch.autograd.Variable._execution_engine, "run_backward"),
    (torch.autograd.graph, "_engine_run_backward"),
    (torch.Tensor, "backward"),
    (torch.Tensor, "requires_grad_"),
    (torch.Tensor, "register_hook"),
    (torch.Tensor, "retain_grad"),
]


def forbidden(*arguments: object, **keywords: object) -> None:
    raise AssertionError("autograd was entered")


def test_the_whole_disc_job_runs_with_every_entry_into_autograd_shut(
    tmp_path, monkeypatch, capsys
) -> None:
    for owner, name in ENTRIES:
        if hasattr(owner, name):
            try:
                monkeypatch.setattr(owner, name, forbidden)
            except (AttributeError, TypeError):
                assert owner is torch.autograd.Variable._execution_engine  # cannot be patched
    with pytest.raises(AssertionError, match="autograd was entered"):
        torch.ones(1).requires_grad_()
    monkeypatch.setattr("sys.argv", ["backhand", "disc", "--seeds", "1", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "100,000 fresh" in capsys.readouterr().out
    from backhand import load

    network = load(tmp_path / "network.safetensors")
    for parameter in network.parameters().values():
        assert not parameter.value.requires_grad
        assert parameter.value.grad_fn is None
