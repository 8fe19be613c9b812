"""A derivation in words: one line a node, for people."""

from lth.lineage.nodes import (
    Checkpoint,
    Combined,
    Dense,
    Initial,
    Node,
    Pruned,
    Shuffled,
    Sparsified,
    Trained,
    Whole,
)


def in_words(node: Node) -> str:
    """What the node is and what it is made from, with inputs by the first 8 digits of their keys."""
    match node:
        case Initial():
            return f"{node.model.name} drawn with seed {node.seed}"
        case Dense():
            return "every weight kept"
        case Whole():
            return "every prunable weight kept, to be pruned within the training"
        case Sparsified():
            return f"the masks that {node.trained.key[:8]} ended with"
        case Trained():
            masks = "" if isinstance(node.masks, Dense | Whole) else f" under the masks {node.masks.key[:8]}"
            if node.sparsifier is not None:
                masks = f" and pruned to {100 * node.sparsifier.density:.3g} % by {node.sparsifier.method}"
            first = f" from step {node.first_step}" if node.first_step else ""
            recipe = node.recipe
            return (
                f"{node.start.key[:8]} trained{masks}{first} to step {recipe.steps} with {recipe.optimizer} "
                f"(learning rate {recipe.lr:g}, batches of {recipe.batch_size})"
            )
        case Checkpoint():
            return f"{node.trained.key[:8]} as it was at step {node.step}"
        case Pruned():
            pruning = node.pruning
            grain = "" if pruning.granularity == "unstructured" else f", {pruning.granularity}"
            return (
                f"masks of level {node.level}, chosen by {pruning.criterion} ({pruning.scope}, rate "
                f"{pruning.rate:g}{grain}) in {node.trained.key[:8]}"
            )
        case Shuffled():
            return f"the masks {node.masks.key[:8]} shuffled within each tensor"
        case Combined():
            changed = "" if node.action == "copy" else f"{node.action} of "
            return f"{changed}{node.kept.key[:8]} where {node.masks.key[:8]} keeps, {node.pruned} elsewhere"
        case _:
            return node.kind
