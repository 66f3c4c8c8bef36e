FROM a
ONBUILD COPY --frm=x a b
