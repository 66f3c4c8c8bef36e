FROM a
CMD ["a", ]
