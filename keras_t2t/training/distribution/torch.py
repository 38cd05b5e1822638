"""torch: one process per device, started by `torchrun`."""

import datetime
import os

import keras
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel

from keras_t2t.training.distribution.devices import Devices, refuse

# What torchrun sets beside WORLD_SIZE.
VARIABLES = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
# So far apart that the processes' random numbers never meet.
SEED_STRIDE = 1_000_003


def torch_devices(config):
    """The processes that `torchrun` started, on one host or several; else this one."""
    refuse(
        config,
        ("devices", "coordinator", "num_processes", "process_id"),
        "with torch, start one process per device: torchrun --nproc-per-node "
        "DEVICES [--nnodes HOSTS --rdzv-endpoint HOST:PORT] SCRIPT ...",
    )
    gpus = torch.cuda.device_count()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        if lacking := [name for name in VARIABLES if name not in os.environ]:
            raise ValueError(
                f"WORLD_SIZE={os.environ['WORLD_SIZE']} without {', '.join(lacking)}: "
                "start the processes by torchrun, or unset WORLD_SIZE"
            )
        devices = TorchProcesses(gpus, config.host_timeout)
    else:
        devices = Devices()
        if gpus > 1:
            print(
                f"Using one of {gpus} GPUs; torchrun --nproc-per-node {gpus} uses all",
                flush=True,
            )
    devices.accelerated = gpus > 0
    return devices


class TorchProcesses(Devices):
    """Several processes, with a device each."""

    def __init__(self, gpus, timeout):
        if gpus:
            # Keras's "cuda" is the current device.
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        self.count = self.processes = int(os.environ["WORLD_SIZE"])
        self.process = int(os.environ["RANK"])
        try:
            torch.distributed.init_process_group(
                "nccl" if gpus else "gloo", timeout=datetime.timedelta(seconds=timeout)
            )
        except RuntimeError as error:
            host, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
            raise ValueError(
                f"the {self.count} processes did not meet at {host}:{port} within "
                f"{timeout:g} s: {str(error).splitlines()[0]}"
            ) from error

    def prepare(self, model):
        # Keras's own step calls the model through it, stays as it is, and sees the same
        # gradients (and the same overflow) in every process.
        replicated = DistributedDataParallel(
            Forward(model), gradient_as_bucket_view=True
        )
        model.call = replicated.__call__  # a method: Keras would wrap the module itself
        self.separate(model)

    def largest(self, number):
        maximum = torch.distributed.ReduceOp.MAX
        return int(self._total(torch.tensor(number), maximum))

    def reduce_metrics(self, model):
        # All are means, kept as a sum and a count: both add up.
        for variable in model.metrics_variables:
            variable.assign(self._total(variable.value))
        result = model.get_metrics_result()
        return {name: float(value) for name, value in result.items()}

    def average_statistics(self, model):
        for variable in model.non_trainable_weights:
            if keras.backend.is_float_dtype(variable.dtype):
                value = variable.value.detach()
                first = self._total(value * self.main).to(value.device)
                # The same everywhere, as frozen weights are, it stays to the last bit.
                change = self._total(value - first) / self.processes
                variable.assign(first + change.to(value.device))

    def shared_state(self, arrays):
        return {
            name: self._total(torch.from_numpy(array)).cpu().numpy()
            if name.startswith("metrics/")
            else array
            for name, array in arrays.items()
        }

    def separate(self, model):
        """All processes have restored the same state. From here on, each has its share
        of the metrics, and all but the first draw other random numbers."""
        for variable in model.metrics_variables:
            share = (variable.value / self.processes).to(variable.value.dtype)
            rest = variable.value - share * (self.processes - 1)
            variable.assign(rest if self.main else share)
        if self.main:
            return
        for variable in model.variables:
            if variable.name == "seed_generator_state":
                variable.assign_add([SEED_STRIDE * self.process, 0])
        torch.manual_seed(int(torch.randint(2**31, ())) + self.process)

    def disconnect(self):
        torch.distributed.destroy_process_group()

    def _total(self, tensor, operation=torch.distributed.ReduceOp.SUM):
        """The sum over all processes, on the device that they talk through."""
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        total = tensor.detach().to(device, copy=True)
        torch.distributed.all_reduce(total, operation)
        return total


class Forward(torch.nn.Module):
    """A model's forward pass with all its variables, which start with the values of the
    first process."""

    def __init__(self, model):
        super().__init__()
        self.variables = torch.nn.ParameterList(
            variable.value for variable in model.variables
        )
        self.forward = model.call
