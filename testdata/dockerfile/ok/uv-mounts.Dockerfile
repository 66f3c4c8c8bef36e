# syntax=docker/dockerfile:1
FROM public.ecr.aws/lambda/python:3.13 AS deps
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN --mount=type=bind,source=pyproject.toml,target=pyproject.toml \
    --mount=type=bind,source=uv.lock,target=uv.lock \
    --mount=type=cache,target=/root/.cache/uv \
    --mount=from=ghcr.io/astral-sh/uv:0.9.26,source=/uv,target=/bin/uv \
    uv export --frozen -o requirements.txt && \
    uv pip install --target "${LAMBDA_TASK_ROOT}" -r requirements.txt

FROM public.ecr.aws/lambda/python:3.13
COPY --from=deps ${LAMBDA_TASK_ROOT} ${LAMBDA_TASK_ROOT}
COPY app ${LAMBDA_TASK_ROOT}/app
CMD ["app.main.handler"]
