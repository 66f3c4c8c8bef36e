ARG A=${B:?none}
FROM a
