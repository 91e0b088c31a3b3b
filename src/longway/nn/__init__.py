"""Networks: a small convolutional net, a beta-VAE, a denoiser, and a nearest-neighbour vote."""
