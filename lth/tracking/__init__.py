"""Trackers: what trainings measure, told to Weights & Biases, MLflow, TensorBoard, trackio, or a tool of yours."""

from lth.tracking.observer import TrackedBuild
from lth.tracking.sender import Finding, Sender
from lth.tracking.sent import study_of
from lth.tracking.table import TRACKERS, tracker_of
from lth.tracking.tell import Teller
from lth.tracking.tracker import Row, Series, TrackedStudy, Tracker

__all__ = [
    "TRACKERS",
    "Finding",
    "Row",
    "Sender",
    "Series",
    "Teller",
    "TrackedBuild",
    "TrackedStudy",
    "Tracker",
    "study_of",
    "tracker_of",
]
