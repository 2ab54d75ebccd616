"""Runtimes that read ONNX files, each behind one function, `open(path)`: from images to logits.

Images are float32 in the axes of the file's input, logits an array (N, K). Each module imports its runtime,
so that it can be imported only where that is installed. Converted files are written beside the path.
"""
