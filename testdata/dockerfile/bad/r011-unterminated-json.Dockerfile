FROM a
CMD [
  "a"
]
