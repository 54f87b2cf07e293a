"""How numbers are computed: precision, GPUs, several processes, memory."""
