"""Networks: heads on features, a small convolutional net, a beta-VAE for images and features."""
