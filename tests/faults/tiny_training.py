"""train.py with a network of one weight; everything around the network is unchanged."""

import train
from tests.fuzz.stand_ins import tiny_step
from training import tasks
from utils.errors import run_main

if __name__ == "__main__":
    task = tasks.TASKS["r_net", "photo"]._replace(build_step=tiny_step)
    tasks.TASKS = {("r_net", "photo"): task}
    run_main(train.main)
