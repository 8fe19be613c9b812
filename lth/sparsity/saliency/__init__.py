"""Saliencies: criteria that look at more than one weight at a time (gradients, activations, layers)."""
