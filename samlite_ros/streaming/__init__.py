"""Answers at camera rate: the network sees keyframes, and their masks are carried to every frame.

Floors, each of which imports only from those below: `pipeline`, `jobs`, `answer` and `keyframes`, `carry` (tracks),
`model` (what is learnt of one object), `image`, `tuning`.

Words that mean one thing here:

==================  ====================================================================================================
keyframe, snapshot  A frame that the network gets, and its moment: poses, composite and points that follow its motion.
appearance model    What is learnt of an object from one keyframe: template, outline, colours, signed distance.
template            Points and colours by which an object is aligned; their share that agrees is its inlier share.
prior               An earlier model at its pose in a keyframe: tells what of the object is hidden there.
amodal distance     Signed distance to the border of the whole object, hidden parts included.
model update        A model to learn from a keyframe; updates wait in a queue, a few are done per frame.
track               One object followed over frames; uncertain = other poses are worth a try, lost = by all signs
                    elsewhere, mismatched = what is at its place does not look like it.
shape, link         An object's outline in its keyframe, and as refined in a later frame; points carry and bend it.
refiner             The network that corrects a carried shape, from planes: what is seen and known in its window.
claim               Log-odds that the cells of such a window are one object's, at the camera's resolution.
layer, composite    Log-odds that pixels are one object's; who owns which pixel of a frame, of all layers.
occlusion           Which objects hide which others in the last composite.
duplicates          Two tracks on one object.
association         Which detection of a keyframe is which track, by overlap.
re-identification   The same, by appearance, for objects that were out of sight: ended tracks wait in a gallery.
==================  ====================================================================================================
"""
