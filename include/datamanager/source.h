// Sources: what datamanager captures from.
#ifndef DATAMANAGER_SOURCE_H_
#define DATAMANAGER_SOURCE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "datamanager/value.h"

namespace google::protobuf {
class Message;
}

namespace datamanager {

// What a source reports for one reading: values by key.
using Readings = ValueMap;

// A labelled rectangle. Corners are fractions of the picture's width and height.
struct BoundingBox {
  std::string id;  // As a rule empty.
  std::string label;
  double x_min = 0;
  double y_min = 0;
  double x_max = 0;
  double y_max = 0;
  std::optional<double> confidence;
};

// A label for the whole record.
struct Classification {
  std::string label;
  std::optional<double> confidence;
  std::string id;  // As a rule empty.
};

// What is known about the content of a picture. Stored and uploaded with it.
struct Annotations {
  std::vector<BoundingBox> bboxes;
  std::vector<Classification> classifications;

  bool empty() const { return bboxes.empty() && classifications.empty(); }
};

// One picture. `data` holds the encoded bytes as they are to be stored.
struct Image {
  std::string source_name;  // Of several sensors in one camera; may be empty.
  std::string mime_type;    // Such as image/jpeg. Empty: told from the first bytes, if they tell.
  std::string data;
  Annotations annotations;
};

// The pictures of one tick. Clear() keeps the storage. Not thread-safe.
class Images {
 public:
  using const_iterator = std::deque<Image>::const_iterator;

  Images() = default;
  Images(const Images&) = default;
  Images& operator=(const Images&) = default;
  // After a move the source holds no picture.
  Images(Images&& other) : Images() { *this = std::move(other); }
  Images& operator=(Images&& other);
  ~Images() = default;

  // Appends an empty picture for the caller to fill. The reference is valid until Clear.
  Image& Add();
  // When they were taken; without it, when the source returned.
  void SetCapturedAt(WallTime time) { captured_at_ = time; }
  std::optional<WallTime> captured_at() const { return captured_at_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const_iterator begin() const { return images_.begin(); }
  const_iterator end() const { return images_.begin() + static_cast<std::ptrdiff_t>(size_); }
  void Clear();

 private:
  std::deque<Image> images_;  // The first size_ are in use; the rest is storage.
  size_t size_ = 0;
  std::optional<WallTime> captured_at_;
};

// The messages of one answer: one, or those of a stream. Clear() keeps the storage. Not
// thread-safe.
class Messages {
 public:
  using Make = std::function<std::shared_ptr<google::protobuf::Message>()>;

  // `make` returns an empty message of the class that is added.
  explicit Messages(Make make) : make_(std::move(make)) {}
  // A copy has messages of its own. A move leaves none; new ones are made of the same class.
  Messages(const Messages& other);
  Messages& operator=(const Messages& other);
  Messages(Messages&& other);
  Messages& operator=(Messages&& other);
  ~Messages() = default;

  // Appends an empty message, to be filled. The reference is good until Clear.
  google::protobuf::Message& Add();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const google::protobuf::Message& operator[](size_t index) const { return *messages_[index]; }
  void Clear() { size_ = 0; }

 private:
  Make make_;
  std::vector<std::shared_ptr<google::protobuf::Message>> messages_;  // As in Images.
  size_t size_ = 0;
};

// The messages of a stream, as the source that fills them sees them.
template <typename Response>
class ResponseStream {
 public:
  explicit ResponseStream(Messages& messages) : messages_(messages) {}
  Response& Add() { return static_cast<Response&>(messages_.Add()); }

 private:
  Messages& messages_;
};

// Reports the result of an answer to its source: OK once the record is written to its capture file,
// where it is as safe as `durability` promises; otherwise why there is no record.
using AnswerResult = std::function<void(const absl::Status& written)>;

// What a source is asked for.
struct CaptureRequest {
  std::string_view method;
  // What the component's method is to be called with as `extra`: `fromDataManagement: true`, and
  // after it, for Readings of a sensor, the collector's additional_params. Empty for DoCommand, and
  // for Position and PointCloudMap of a SLAM service.
  const ValueMap& extra;
  // The collector's additional_params, such as `pin_name` of Gpios or `docommand_input`. Those that
  // the method needs are there, and of the right type.
  const ValueMap& params;
  // Of the collector's ticks.
  std::chrono::nanoseconds interval{0};
  // GetAudio only: the end of the last chunk captured, as its source reported it; 0 at first. After
  // a failed write it is the beginning of that record, so that no audio is lost.
  int64_t previous_timestamp_nanoseconds = 0;
  // Requested when the collector ends: a source that can block should return soon after. Stop
  // callbacks run on a thread of the library, and count as the source: the call that ends the
  // collector waits no longer for them than for the source itself. They must not throw, because the
  // C++ standard library would end the process.
  std::stop_token stop;
  // A source that may give data only once, such as the lines of a file, stores a function here. The
  // collector calls it once, on the same thread, before it asks the source again and before
  // Reconfigure or Close releases it; an exception from it is logged. Null where the answer is not
  // stored: the source is asked as a control sensor, or by a client.
  AnswerResult* when_written = nullptr;
};

// What a source returns if there is nothing to store at this tick: no record, no error, only
// counted. Any FAILED_PRECONDITION whose text has "no capture from filter module" means the same,
// as in the reference.
absl::Status NothingToStore();
bool IsNothingToStore(const absl::Status& status);

// A source fills `out`, which is empty, and returns OK; or it returns an error, which is counted
// and logged, and is asked again at the next tick. An exception counts as an error, also one of
// MessageSource's `make`, which is called by Reconfigure too and must not block.
//
// One thread of the library calls it for each collector (API, name, method and parameters), one
// call at a time, and never again after the call that ended the collector (Reconfigure or Close)
// has returned, unless that call reported that the source hangs: keep what it touches alive until
// then. A source that serves several collectors, as a camera's may, is called by one thread for
// each, possibly at once. A sensor that controls capture, or decides whether to sync, is asked on a
// thread of its own, too, but never while a collector's call of the same source is under way. A
// call into DataManager from inside a source returns FAILED_PRECONDITION.
using ReadingsSource = std::function<absl::Status(const CaptureRequest&, Readings& out)>;
using ImagesSource = std::function<absl::Status(const CaptureRequest&, Images& out)>;
struct MessageSource {
  Messages::Make make;
  std::function<absl::Status(const CaptureRequest&, Messages& out)> fill;
};
using SourceFunction = std::variant<ReadingsSource, ImagesSource, MessageSource>;

// The sources of a robot, by API, name and method. A cheap copy shares the sources.
//
// Reconfigure keeps a collector running while its config is equal and its source is the same, and a
// source is the same as long as it comes from the same Add: keep one Sources and change that.
// Not thread-safe.
class Sources {
 public:
  // A sensor's readings. `api` is the triplet, such as "rdk:component:sensor"; `name` as in the
  // config. Adding again under the same API, name and method replaces the source.
  void AddReadings(std::string_view api, std::string_view name, ReadingsSource source);
  // What a command returns; the command is the parameter `docommand_input`.
  void AddDoCommand(std::string_view api, std::string_view name, ReadingsSource source);
  // A camera's pictures; serves the methods GetImages and ReadImage.
  void AddImages(std::string_view name, ImagesSource source);
  // Any captured method of any API: the source fills the message that the component's own gRPC
  // service answers with, such as GetEndPositionResponse for EndPosition of an arm (GetWorldPose:
  // GetWorldPoseResponse). Any class will do that has its fields: that of Viam's C++ SDK, or ours,
  // from datamanager/wire/viam/... in the library datamanager::wire. Another one refuses the
  // collector. What is unset is stored as zero, an unset message as {}.
  template <typename Response>
  void AddMessage(std::string_view api, std::string_view name, std::string_view method,
                  std::function<absl::Status(const CaptureRequest&, Response& out)> source);
  // The same for what is answered with a stream: GetAudio and PointCloudMap. The messages of one
  // tick.
  template <typename Response>
  void AddStream(
      std::string_view api, std::string_view name, std::string_view method,
      std::function<absl::Status(const CaptureRequest&, ResponseStream<Response> out)> source);
  // The same with messages of a class that is not known when this is compiled.
  void AddMessages(std::string_view api, std::string_view name, std::string_view method,
                   MessageSource source);
  // Removes every source of that API and name.
  void Remove(std::string_view api, std::string_view name);

  // The source for a method; null if there is none.
  std::shared_ptr<const SourceFunction> Find(std::string_view api, std::string_view name,
                                             std::string_view method) const;
  // The APIs under which anything was added by this name.
  std::vector<std::string> ApisOf(std::string_view name) const;
  // Whether anything was added under this API and name.
  bool Has(std::string_view api, std::string_view name) const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // API, name, method.
  std::map<Key, std::shared_ptr<const SourceFunction>> sources_;
};

template <typename Response>
void Sources::AddMessage(std::string_view api, std::string_view name, std::string_view method,
                         std::function<absl::Status(const CaptureRequest&, Response& out)> source) {
  AddMessages(api, name, method,
              {.make = [] { return std::make_shared<Response>(); },
               .fill =
                   [source = std::move(source)](const CaptureRequest& request, Messages& out) {
                     return source(request, static_cast<Response&>(out.Add()));
                   }});
}

template <typename Response>
void Sources::AddStream(
    std::string_view api, std::string_view name, std::string_view method,
    std::function<absl::Status(const CaptureRequest&, ResponseStream<Response> out)> source) {
  AddMessages(api, name, method,
              {.make = [] { return std::make_shared<Response>(); },
               .fill =
                   [source = std::move(source)](const CaptureRequest& request, Messages& out) {
                     return source(request, ResponseStream<Response>(out));
                   }});
}

}  // namespace datamanager

#endif  // DATAMANAGER_SOURCE_H_
