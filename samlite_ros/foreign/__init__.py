"""What others wrote: texts, files and times that are taken within limits, and named in few words where they are not."""
