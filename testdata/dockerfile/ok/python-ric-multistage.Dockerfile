ARG FUNCTION_DIR="/function"
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim AS build-image
ARG FUNCTION_DIR
RUN apt-get update && \
  apt-get install -y \
  g++ \
  make \
  # the runtime client is compiled
  cmake \
  unzip
RUN mkdir -p ${FUNCTION_DIR}
COPY app/* ${FUNCTION_DIR}
RUN pip install --target ${FUNCTION_DIR} awslambdaric

FROM python:${PYTHON_VERSION}-slim
ARG FUNCTION_DIR
WORKDIR ${FUNCTION_DIR}
COPY --from=build-image ${FUNCTION_DIR} ${FUNCTION_DIR}
ENTRYPOINT [ "/usr/local/bin/python", "-m", "awslambdaric" ]
CMD [ "app.handler" ]
