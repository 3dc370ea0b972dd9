"""Train a network on labelled digits and write it as a model bundle.

What the network sees in training has gone through the same `normalize` as what it sees in
prediction. `course` trains the tutorials' `recipes`, `shipped` the recipe `default`, and
`number_bundle` the recipe `numbers`; `bundle` gives any model its calibration.
"""
