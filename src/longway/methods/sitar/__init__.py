"""SITAR: noise along latent axes that are correlated with the label."""
