"""train.py with a network of one weight; everything around the network is unchanged."""

import train
from tests.fuzz.stand_ins import tiny_step
from utils.errors import run_main

if __name__ == "__main__":
    train._STEPS = {"r_net": (tiny_step, train.initialise_r_net)}
    run_main(train.main)
