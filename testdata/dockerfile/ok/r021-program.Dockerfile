FROM a
RUN python - <<'PY'
print('$x')
PY
