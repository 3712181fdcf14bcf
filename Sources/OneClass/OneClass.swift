/// Deep one-class classification in two stages (Sohn et al., ICLR 2021): an encoder learned from normal
/// images by a self-supervised task, then a one-class classifier on its features.
///
/// Two conventions hold everywhere: a higher score is more anomalous, and label 1 is an outlier.
@_exported import OCCData
@_exported import OCCDetectors
@_exported import OCCEngine
@_exported import OCCNetworks
