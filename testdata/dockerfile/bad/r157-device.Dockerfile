FROM a
RUN --device=nvidia.com/gpu x
