// A planner asks where the red ball is, and prints each answer. Run beside a samlite node, which may start later.
//
// In the CMakeLists.txt of your package, with rclcpp and samlite_ros in its package.xml:
//   find_package(rclcpp REQUIRED)
//   find_package(samlite_ros REQUIRED)
//   add_executable(ask ask.cpp)
//   target_link_libraries(ask rclcpp::rclcpp ${samlite_ros_TARGETS})
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "rclcpp/rclcpp.hpp"
#include "samlite_ros/msg/query_set.hpp"
#include "samlite_ros/msg/query_status_array.hpp"
#include "samlite_ros/msg/segmentation.hpp"

using samlite_ros::msg::QuerySet;
using samlite_ros::msg::QueryStatus;
using samlite_ros::msg::QueryStatusArray;
using samlite_ros::msg::Segmentation;
using samlite_ros::msg::TextQuery;

constexpr char CLIENT[] = "planner", ID[] = "target", TEXT[] = "red ball";

volatile std::sig_atomic_t interrupted = 0;

class Planner : public rclcpp::Node
{
public:
  Planner()
  : Node(CLIENT)
  {
    const auto latched = rclcpp::QoS(1).transient_local();  // a node that starts later, or again, finds the query
    queries_ = create_publisher<QuerySet>("/samlite/query_set", latched);
    statuses_ = create_subscription<QueryStatusArray>(
      "/samlite/query_status", latched, [this](const QueryStatusArray & message) {on_statuses(message);});
    answers_ = create_subscription<Segmentation>(
      "/samlite/segmentation", rclcpp::QoS(5), [](const Segmentation & message) {on_answer(message);});
    TextQuery query;
    query.header.stamp = asked_ = now();
    query.id = ID;
    query.text = TEXT;
    QuerySet set;
    set.client = CLIENT;
    set.queries = {query};
    queries_->publish(set);
  }

  void withdraw()
  {
    QuerySet nothing;
    nothing.client = CLIENT;
    queries_->publish(nothing);
    queries_->wait_for_all_acked(std::chrono::seconds(1));
  }

private:
  // What became of the query: told where it changes.
  void on_statuses(const QueryStatusArray & message)
  {
    for (const auto & status : message.queries) {
      if (status.client != CLIENT || status.id != ID || rclcpp::Time(status.request_stamp) != asked_) {
        continue;  // another planner's, or an older question of ours
      }
      const char * verdict =
        status.state == QueryStatus::REJECTED ? "REJECTED" :
        status.outcome == QueryStatus::FOUND ? "FOUND" :
        status.outcome == QueryStatus::NOT_FOUND ? "NOT_FOUND" : "UNKNOWN";
      const auto line = std::string(verdict) + (status.message.empty() ? "" : ": ") + status.message;
      if (line != told_) {
        std::printf("%s: %s\n", TEXT, line.c_str());
        told_ = line;
      }
    }
  }

  // Things of other planners, and answers from before the query was searched, are none of ours.
  static void on_answer(const Segmentation & message)
  {
    for (const auto & thing : message.instances) {
      for (const auto & match : thing.matches) {
        if (match.client == CLIENT && match.query_id == ID) {
          const auto & at = thing.box.center.position;
          const auto track = static_cast<unsigned long long>(thing.track_id);
          std::printf("%s #%llu at (%.0f, %.0f) px, %.2f\n", TEXT, track, at.x, at.y, thing.confidence);
        }
      }
    }
    for (const auto & result : message.results) {
      const bool searched = rclcpp::Time(result.keyframe_stamp).nanoseconds() > 0;
      if (result.client == CLIENT && result.query_id == ID && searched && result.count == 0) {
        std::printf("no %s in this image: presence %.2f\n", TEXT, result.presence);
      }
    }
  }

  rclcpp::Time asked_;
  std::string told_;
  rclcpp::Publisher<QuerySet>::SharedPtr queries_;
  rclcpp::Subscription<QueryStatusArray>::SharedPtr statuses_;
  rclcpp::Subscription<Segmentation>::SharedPtr answers_;
};

int main(int argc, char ** argv)
{
  // rclcpp's own handler would end ROS before the query can be withdrawn.
  rclcpp::init(argc, argv, rclcpp::InitOptions(), rclcpp::SignalHandlerOptions::None);
  std::signal(SIGINT, [](int) {interrupted = 1;});
  {
    auto planner = std::make_shared<Planner>();
    rclcpp::executors::SingleThreadedExecutor executor;
    executor.add_node(planner);
    while (!interrupted && rclcpp::ok()) {
      executor.spin_once(std::chrono::milliseconds(100));
    }
    planner->withdraw();
  }
  rclcpp::shutdown();
}
