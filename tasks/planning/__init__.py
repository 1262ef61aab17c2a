"""What a plan asks of Azure before anything is made: the blobs and the place that are meant, and prices."""
