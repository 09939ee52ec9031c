import io

import pytest
import torch

from medmd.engines import ModalityTracks
from medmd.losses import AdaptiveMarginSupConLoss
from medmd.utils import MedmdError

SCHEDULERS = {
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4),
    "milestones": lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3]),
    "one cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=6),
    "none": None,
}


def _adam(parameters):
    return torch.optim.AdamW(parameters, lr=1e-2)


def test_every_modality_has_its_own_parts(tiny):
    network = tiny.network()
    tracks = tiny.contrastive(network, tiny.cases(), scheduler=SCHEDULERS["cosine"]).tracks
    oct_track, fundus_track = tracks["oct"], tracks["fundus"]

    for part in ("projector", "contrastive_loss", "optimizer", "scheduler"):
        assert getattr(oct_track, part) is not getattr(fundus_track, part)
    assert oct_track.encoder is network.encoders["oct"]
    assert oct_track.head is network.unimodal_heads["oct"]
    trained = {id(p) for track in tracks for group in track.optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for track in tracks for p in track.parameters()}
    assert id(network.fusion_head.output.weight) not in trained


def test_factories_may_be_given_by_modality(tiny):
    rates = {"oct": 0.5, "fundus": 0.25}
    optimizer = {
        name: lambda parameters, rate=rate: torch.optim.SGD(parameters, lr=rate) for name, rate in rates.items()
    }
    schedules = {"oct": SCHEDULERS["cosine"], "fundus": None}
    tracks = tiny.contrastive(tiny.network(), tiny.cases(), optimizer=optimizer, scheduler=schedules).tracks

    assert {track.name: track.optimizer.param_groups[0]["lr"] for track in tracks} == rates
    assert tracks["fundus"].scheduler is None
    assert tracks["oct"].scheduler is not None


def test_a_missing_factory_is_named(tiny):
    with pytest.raises(MedmdError, match=r"pretrain#trainer#optimizer: .* without 'fundus'"):
        tiny.contrastive(tiny.network(), tiny.cases(), optimizer={"oct": _adam})


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_states_go_through_a_file_without_code_and_come_back(tiny, scheduler):
    def make(seed):
        return tiny.contrastive(
            tiny.network(seed=seed),
            tiny.cases(),
            optimizer=_adam,
            scheduler=scheduler,
            contrastive_loss=AdaptiveMarginSupConLoss(warmup_iterations=0, queue_size=5),
        )

    first, second = make(0), make(1)
    first.run()
    first.tracks["fundus"].active = False
    file = io.BytesIO()
    torch.save(first.tracks.state_dict(), file)
    file.seek(0)
    second.tracks.load_state_dict(torch.load(file, weights_only=True))

    assert [track.name for track in second.tracks.active] == ["oct"]
    for name in ("oct", "fundus"):
        a, b = first.tracks[name], second.tracks[name]
        assert all(map(torch.equal, a.projector.state_dict().values(), b.projector.state_dict().values()))
        assert torch.equal(a.contrastive_loss.queue.features, b.contrastive_loss.queue.features)
        assert a.contrastive_loss.queue.features.abs().sum() > 0
        assert [g["lr"] for g in a.optimizer.param_groups] == [g["lr"] for g in b.optimizer.param_groups]
        moments = [[each["exp_avg"] for each in t.optimizer.state_dict()["state"].values()] for t in (a, b)]
        assert len(moments[0]) == len(a.parameters())
        assert all(map(torch.equal, *moments))
        if scheduler is not None:
            assert a.scheduler.state_dict() == b.scheduler.state_dict()


def test_first_weights_depend_on_the_seed_alone_and_not_on_what_was_drawn_before(tiny):
    network = tiny.network()

    def projectors(seed, draws):
        # As after loaders of MONAI's, which set the generator back unless they have workers.
        torch.manual_seed(seed)
        torch.rand(draws)
        state = torch.get_rng_state()
        tracks = ModalityTracks.build(
            network=network,
            modalities=["oct", "fundus"],
            projector=lambda features: torch.nn.Linear(features, 4),
            contrastive_loss=AdaptiveMarginSupConLoss(warmup_iterations=0),
            optimizer=torch.optim.SGD,
            scheduler=None,
            device=torch.device("cpu"),
        )
        assert torch.equal(torch.get_rng_state(), state)
        return torch.cat([value.flatten() for track in tracks for value in track.projector.parameters()])

    assert torch.equal(projectors(3, 0), projectors(3, 7))
    assert not torch.equal(projectors(3, 0), projectors(4, 0))
