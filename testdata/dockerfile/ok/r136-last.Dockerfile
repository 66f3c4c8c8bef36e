FROM a
CMD ["1"]
CMD ["2"]
