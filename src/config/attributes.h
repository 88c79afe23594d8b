// The attributes of a data manager and of a captured method, as JSON has them.
#ifndef DATAMANAGER_SRC_CONFIG_ATTRIBUTES_H_
#define DATAMANAGER_SRC_CONFIG_ATTRIBUTES_H_

#include "config/object_reader.h"
#include "datamanager/config.h"

namespace datamanager::config {

// The `attributes` of a data manager service, without what is captured.
Config ReadServiceAttributes(ObjectReader& attributes);

// An entry of `capture_methods`. Its api is left empty.
CollectorConfig ReadCaptureMethod(ObjectReader& entry);

}  // namespace datamanager::config

#endif  // DATAMANAGER_SRC_CONFIG_ATTRIBUTES_H_
