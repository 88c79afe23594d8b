// The robot's own components, served to whoever captures them.
#ifndef DATAMANAGER_EXAMPLES_ROBOT_COMPONENTS_H_
#define DATAMANAGER_EXAMPLES_ROBOT_COMPONENTS_H_

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "datamanager/source.h"
#include "viam/component/camera/v1/camera.grpc.pb.h"
#include "viam/component/sensor/v1/sensor.grpc.pb.h"

namespace robot {

// Serves GetReadings of sensors and GetImages of cameras. A call is a reading as any: a counter
// goes on counting. What the robot itself gets from elsewhere it does not pass on. Thread-safe.
class Components {
 public:
  // To be registered; they live as long as this.
  std::vector<grpc::Service*> services() { return {&sensors_, &cameras_}; }

  // What there is from the next call on; nothing at first.
  void Use(const datamanager::Sources& sources);

 private:
  using Source = std::shared_ptr<const datamanager::SourceFunction>;

  // Null if there is none.
  Source Find(std::string_view api, std::string_view name, std::string_view method) const;

  class Sensors : public viam::component::sensor::v1::SensorService::Service {
   public:
    explicit Sensors(const Components& components) : components_(components) {}
    grpc::Status GetReadings(grpc::ServerContext* context,
                             const viam::common::v1::GetReadingsRequest* request,
                             viam::common::v1::GetReadingsResponse* response) override;

   private:
    const Components& components_;
  };
  class Cameras : public viam::component::camera::v1::CameraService::Service {
   public:
    explicit Cameras(const Components& components) : components_(components) {}
    grpc::Status GetImages(grpc::ServerContext* context,
                           const viam::component::camera::v1::GetImagesRequest* request,
                           viam::component::camera::v1::GetImagesResponse* response) override;

   private:
    const Components& components_;
  };

  Sensors sensors_{*this};
  Cameras cameras_{*this};
  mutable std::mutex mutex_;
  datamanager::Sources sources_;  // Guarded by mutex_.
};

}  // namespace robot

#endif  // DATAMANAGER_EXAMPLES_ROBOT_COMPONENTS_H_
