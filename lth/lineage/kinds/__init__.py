"""The kinds of nodes, one file each."""

from lth.lineage.kinds.ablated import Ablated
from lth.lineage.kinds.checkpoint import Checkpoint
from lth.lineage.kinds.combined import Combined
from lth.lineage.kinds.complement import Complement
from lth.lineage.kinds.constant import Constant
from lth.lineage.kinds.dense import Dense, Prunable
from lth.lineage.kinds.evaluated import Evaluated
from lth.lineage.kinds.given import Given
from lth.lineage.kinds.grafted import Grafted
from lth.lineage.kinds.initial import Initial
from lth.lineage.kinds.interpolated import Interpolated
from lth.lineage.kinds.intervened import Intervened
from lth.lineage.kinds.merged import Merged
from lth.lineage.kinds.noise import Noise
from lth.lineage.kinds.overlapped import Overlapped
from lth.lineage.kinds.permuted import Permuted
from lth.lineage.kinds.pretrained import Pretrained
from lth.lineage.kinds.pruned import Pruned
from lth.lineage.kinds.reshuffled import Reshuffled
from lth.lineage.kinds.shuffled import Shuffled
from lth.lineage.kinds.signed import Signed
from lth.lineage.kinds.sparsified import Sparsified
from lth.lineage.kinds.super_weights_found import SuperWeightsFound
from lth.lineage.kinds.supermask import LearnedMasks, MaskedNetwork
from lth.lineage.kinds.trained import Trained
from lth.lineage.kinds.transplanted import Transplanted
from lth.lineage.kinds.zeroed_by_movement import ZeroedByMovement
from lth.lineage.kinds.zeros import Zeros

__all__ = [
    "Ablated",
    "Checkpoint",
    "Combined",
    "Complement",
    "Constant",
    "Dense",
    "Evaluated",
    "Given",
    "Grafted",
    "Initial",
    "Interpolated",
    "Intervened",
    "LearnedMasks",
    "MaskedNetwork",
    "Merged",
    "Noise",
    "Overlapped",
    "Permuted",
    "Pretrained",
    "Prunable",
    "Pruned",
    "Reshuffled",
    "Shuffled",
    "Signed",
    "Sparsified",
    "SuperWeightsFound",
    "Trained",
    "Transplanted",
    "ZeroedByMovement",
    "Zeros",
]
