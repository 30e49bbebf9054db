# JetPack 6 (Orin): Ubuntu 22.04, CUDA 12.6, TensorRT 10.3, ROS 2 Humble.
# NOT BUILT: written from documentation, on no Jetson. Run with `--runtime nvidia`, and mount exports and cache:
#   docker build -f docker/jetpack6.Dockerfile -t samlite .
#   docker run --runtime nvidia --network host --ipc host -v ~/.cache:/root/.cache -v ~/s0-504:/model samlite
FROM nvcr.io/nvidia/l4t-tensorrt:r10.3.0-devel
RUN apt-get update && apt-get install -y --no-install-recommends curl gnupg lsb-release python3-pip python3-venv \
    && curl -sSL https://raw.githubusercontent.com/ros/rosdistro/master/ros.key -o /usr/share/keyrings/ros.gpg \
    && echo "deb [signed-by=/usr/share/keyrings/ros.gpg] http://packages.ros.org/ros2/ubuntu jammy main" \
       > /etc/apt/sources.list.d/ros2.list \
    && apt-get update && apt-get install -y --no-install-recommends ros-humble-ros-base ros-humble-vision-msgs \
       ros-humble-cv-bridge python3-colcon-common-extensions
COPY . /ws/src/samlite_ros
WORKDIR /ws
RUN python3 -m venv --system-site-packages /venv && . /venv/bin/activate \
    && pip install 'numpy<2' 'opencv-python<5' pyyaml safetensors scipy tqdm tokenizers
RUN . /opt/ros/humble/setup.sh && . /venv/bin/activate && colcon build --packages-select samlite_ros
CMD . /opt/ros/humble/setup.sh && . /venv/bin/activate && . install/setup.sh \
    && exec ros2 launch samlite_ros samlite.launch.py model:=/model backend:=tensorrt
