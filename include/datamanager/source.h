// Sources: what datamanager captures from.
#ifndef DATAMANAGER_SOURCE_H_
#define DATAMANAGER_SOURCE_H_

#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "datamanager/clock.h"
#include "datamanager/value.h"

namespace datamanager {

// What a source reports for one reading: values by key.
using Readings = ValueMap;

// One picture. `data` holds the encoded bytes as they are to be stored.
struct Image {
  std::string source_name;  // Of several sensors in one camera; may be empty.
  std::string mime_type;    // Such as image/jpeg.
  std::string data;
};

// The pictures of one tick. Clear() keeps the storage. Not thread-safe.
class Images {
 public:
  // Appends an empty picture, to be filled. The reference is good until the next is added.
  Image& Add();
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Image* begin() const { return images_.data(); }
  const Image* end() const { return images_.data() + size_; }
  void Clear() { size_ = 0; }

 private:
  std::vector<Image> images_;  // The first size_ are in use; the rest is storage.
  size_t size_ = 0;
};

// What a source is asked for.
struct CaptureRequest {
  std::string_view method;
  // The collector's additional_params, after `fromDataManagement: true`.
  const ValueMap& extra;
  // Requested when the collector ends: a source that can block should return soon after.
  std::stop_token stop;
};

// A source fills `out`, which is empty, and returns OK; or it returns an error, which is counted
// and logged, and is asked again at the next tick. An exception counts as an error.
//
// One thread of the library calls it for each collector (API, name, method and parameters), one
// call at a time, and never again after the call that ended the collector (Reconfigure or Close)
// has returned, unless that call said that the source hangs: keep what it touches alive until then.
// A source that serves several collectors, as a camera's may, is called by a thread for each,
// possibly at once. A sensor that controls capture, or says whether to sync, is asked on a thread
// of its own, too, but never while a collector's call of the same source is under way. A call into
// DataManager from inside a source returns FAILED_PRECONDITION.
using ReadingsSource = std::function<absl::Status(const CaptureRequest&, Readings& out)>;
using ImagesSource = std::function<absl::Status(const CaptureRequest&, Images& out)>;
using SourceFunction = std::variant<ReadingsSource, ImagesSource>;

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
  // A camera's pictures; serves the methods GetImages and ReadImage.
  void AddImages(std::string_view name, ImagesSource source);
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

}  // namespace datamanager

#endif  // DATAMANAGER_SOURCE_H_
