"""Databases that earlier versions left, which this one has to go on with."""
