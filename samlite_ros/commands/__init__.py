from samlite_ros.live.blas import load_with_one_thread

load_with_one_thread()  # before any command loads numpy
