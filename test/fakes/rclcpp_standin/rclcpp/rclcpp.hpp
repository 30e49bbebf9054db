// The part of rclcpp's interface that our examples use, to compile them where rclcpp is not installed: nothing runs.
// Signatures follow rclcpp of Jazzy; a callback takes a message by reference, as one of rclcpp's may.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "builtin_interfaces/msg/time.hpp"

namespace rclcpp
{
class InitOptions {};
enum class SignalHandlerOptions { All, SigInt, SigTerm, None };
void init(int argc, char const * const * argv, const InitOptions &, SignalHandlerOptions);
bool ok();
bool shutdown();

class Time
{
public:
  Time();
  Time(const builtin_interfaces::msg::Time &);  // NOLINT: implicit, as in rclcpp
  operator builtin_interfaces::msg::Time() const;
  bool operator!=(const Time &) const;
  std::int64_t nanoseconds() const;
};

class QoS
{
public:
  QoS(std::size_t depth);  // NOLINT: implicit, as in rclcpp
  QoS & transient_local();
};

template<typename MessageT>
class Publisher
{
public:
  using SharedPtr = std::shared_ptr<Publisher>;
  void publish(const MessageT & message);
  template<typename Rep, typename Period>
  bool wait_for_all_acked(std::chrono::duration<Rep, Period> timeout) const;
};

template<typename MessageT>
class Subscription
{
public:
  using SharedPtr = std::shared_ptr<Subscription>;
};

class Node
{
public:
  explicit Node(const std::string & name);
  Time now() const;

  template<typename MessageT>
  typename Publisher<MessageT>::SharedPtr create_publisher(const std::string & topic, const QoS & qos);

  template<typename MessageT>
  typename Subscription<MessageT>::SharedPtr create_subscription(
    const std::string & topic, const QoS & qos, std::function<void(const MessageT &)> callback);
};

namespace executors
{
class SingleThreadedExecutor
{
public:
  void add_node(std::shared_ptr<Node> node);
  void spin_once(std::chrono::nanoseconds timeout);
};
}  // namespace executors
}  // namespace rclcpp
