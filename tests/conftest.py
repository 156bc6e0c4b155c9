"""One thread for torch: the operations here are small, and a second thread slows them down."""

import torch

torch.set_num_threads(1)
