"""A network that `samlite export` has written: its folder, and the passes around its graphs. No torch."""
