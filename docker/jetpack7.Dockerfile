# JetPack 7.2 (Orin and Thor): Ubuntu 24.04, CUDA 13.2, TensorRT 10.16, ROS 2 Jazzy.
# NOT BUILT: written from documentation, on no Jetson. Run with `--runtime nvidia`, and mount exports and cache:
#   docker build -f docker/jetpack7.Dockerfile -t samlite .
#   docker run --runtime nvidia --network host --ipc host -v ~/.cache:/root/.cache -v ~/s0-504:/model samlite
FROM ros:jazzy-ros-base
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip python3-venv \
      ros-jazzy-vision-msgs ros-jazzy-cv-bridge
# TensorRT for Python: from NVIDIA's apt source for your JetPack, which the base image lacks.
ARG JETSON_APT="deb https://repo.download.nvidia.com/jetson/common r39.2 main"
RUN echo "$JETSON_APT" > /etc/apt/sources.list.d/jetson.list \
    && apt-get update && apt-get install -y --no-install-recommends python3-libnvinfer
COPY . /ws/src/samlite_ros
WORKDIR /ws
RUN python3 -m venv --system-site-packages /venv && . /venv/bin/activate \
    && pip install 'numpy<2' 'opencv-python<5' pyyaml safetensors scipy tqdm tokenizers
RUN . /opt/ros/jazzy/setup.sh && . /venv/bin/activate && colcon build --packages-select samlite_ros
CMD . /opt/ros/jazzy/setup.sh && . /venv/bin/activate && . install/setup.sh \
    && exec ros2 launch samlite_ros samlite.launch.py model:=/model backend:=tensorrt
