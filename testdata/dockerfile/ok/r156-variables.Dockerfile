FROM a
ARG T=cache D=/d
RUN --mount=type=$T,target=$D,readonly=true x
