FROM localhost/debian
ARG SOURCE_DATE_EPOCH=315532800
COPY module.py /app/pkg/
RUN touch /app/pkg/__init__.py && python3 -m compileall -q /app && PYTHONPATH=/app python3 -c 'import pkg.module'
