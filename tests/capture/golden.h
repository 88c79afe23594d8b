// What each tabular method stores: a response as the component gives it, and the payload, both
// written by hand from the specification.
#ifndef DATAMANAGER_TESTS_CAPTURE_GOLDEN_H_
#define DATAMANAGER_TESTS_CAPTURE_GOLDEN_H_

#include <string>
#include <utility>
#include <vector>

namespace datamanager::testing {

struct Golden {
  std::string api;  // After "rdk:".
  std::string method;
  std::string response;  // As Protobuf's text format has it.
  // JSON; the texts "@nan", "@inf" and "@-inf" stand for the numbers that it lacks.
  std::string payload;
};

// Responses with every field set, with none, and with what is special.
inline const std::vector<Golden> kTyped = {
    {"component:arm", "EndPosition",
     "pose {x: 1.5 y: -2 z: 300 o_x: 0.1 o_y: 0.2 o_z: 0.3 theta: 270}",
     R"({"pose":{"x":1.5,"y":-2,"z":300,"o_x":0.1,"o_y":0.2,"o_z":0.3,"theta":270}})"},
    {"component:arm", "EndPosition", "", R"({"pose":{}})"},
    {"component:arm", "EndPosition", "pose {}",
     R"({"pose":{"x":0,"y":0,"z":0,"o_x":0,"o_y":0,"o_z":0,"theta":0}})"},
    {"component:arm", "EndPosition", "pose {x: nan y: inf z: -inf theta: -0.0}",
     R"({"pose":{"x":"@nan","y":"@inf","z":"@-inf","o_x":0,"o_y":0,"o_z":0,"theta":-0.0}})"},

    {"component:arm", "JointPositions", "positions {values: [0.1, 90, -180, nan]}",
     R"({"positions":{"values":[0.1,90,-180,"@nan"]}})"},
    {"component:arm", "JointPositions", "", R"({"positions":{"values":[]}})"},
    {"component:arm", "JointPositions", "positions {}", R"({"positions":{"values":[]}})"},

    {"component:board", "Analogs", "value: -5 min_range: 0.1 max_range: 3.3 step_size: 0.5",
     R"({"value":-5,"min_range":0.10000000149011612,"max_range":3.299999952316284,"step_size":0.5})"},
    {"component:board", "Analogs", "", R"({"value":0,"min_range":0,"max_range":0,"step_size":0})"},
    {"component:board", "Analogs",
     "value: 2147483647 min_range: -inf max_range: inf step_size: nan",
     R"({"value":2147483647,"min_range":"@-inf","max_range":"@inf","step_size":"@nan"})"},

    {"component:board", "Gpios", "high: true", R"({"high":true})"},
    {"component:board", "Gpios", "", R"({"high":false})"},

    {"component:encoder", "TicksCount", "value: 0.1 position_type: POSITION_TYPE_TICKS_COUNT",
     R"({"value":0.10000000149011612,"position_type":1})"},
    {"component:encoder", "TicksCount", "value: -90 position_type: POSITION_TYPE_ANGLE_DEGREES",
     R"({"value":-90,"position_type":2})"},
    {"component:encoder", "TicksCount", "", R"({"value":0,"position_type":0})"},
    {"component:encoder", "TicksCount", "value: inf position_type: 7",
     R"({"value":"@inf","position_type":0})"},

    {"component:gantry", "Position", "positions_mm: [1, 2.5, -3]",
     R"({"positions_mm":[1,2.5,-3]})"},
    {"component:gantry", "Position", "", R"({"positions_mm":[]})"},
    {"component:gantry", "Lengths", "lengths_mm: [1000, nan]", R"({"lengths_mm":[1000,"@nan"]})"},
    {"component:gantry", "Lengths", "", R"({"lengths_mm":[]})"},

    {"component:motor", "Position", "position: 12.75", R"({"position":12.75})"},
    {"component:motor", "Position", "", R"({"position":0})"},
    {"component:motor", "Position", "position: nan", R"({"position":"@nan"})"},
    {"component:motor", "IsPowered", "is_on: true power_pct: -0.5",
     R"({"is_on":true,"power_pct":-0.5})"},
    {"component:motor", "IsPowered", "", R"({"is_on":false,"power_pct":0})"},

    {"component:movement_sensor", "Position",
     "coordinate {latitude: 52.52 longitude: 13.4} altitude_m: 34.1",
     R"({"coordinate":{"latitude":52.52,"longitude":13.4},"altitude_m":34.099998474121094})"},
    {"component:movement_sensor", "Position", "",
     R"({"coordinate":{"latitude":0,"longitude":0},"altitude_m":0})"},
    {"component:movement_sensor", "Position", "coordinate {latitude: nan} altitude_m: -inf",
     R"({"coordinate":{"latitude":"@nan","longitude":0},"altitude_m":"@-inf"})"},
    {"component:movement_sensor", "LinearVelocity", "linear_velocity {x: 1 y: -2 z: 0.25}",
     R"({"linear_velocity":{"x":1,"y":-2,"z":0.25}})"},
    {"component:movement_sensor", "LinearVelocity", "",
     R"({"linear_velocity":{"x":0,"y":0,"z":0}})"},
    {"component:movement_sensor", "AngularVelocity", "angular_velocity {x: 1 y: inf z: 0.25}",
     R"({"angular_velocity":{"x":1,"y":"@inf","z":0.25}})"},
    {"component:movement_sensor", "AngularVelocity", "",
     R"({"angular_velocity":{"x":0,"y":0,"z":0}})"},
    {"component:movement_sensor", "CompassHeading", "value: 359.9", R"({"value":359.9})"},
    {"component:movement_sensor", "CompassHeading", "", R"({"value":0})"},
    {"component:movement_sensor", "LinearAcceleration", "linear_acceleration {y: 9.81}",
     R"({"linear_acceleration":{"x":0,"y":9.81,"z":0}})"},
    {"component:movement_sensor", "LinearAcceleration", "",
     R"({"linear_acceleration":{"x":0,"y":0,"z":0}})"},
    // Stored as sent: neither scaled to unit length nor turned.
    {"component:movement_sensor", "Orientation", "orientation {o_x: 3 o_y: 4 o_z: 0 theta: 400}",
     R"({"orientation":{"o_x":3,"o_y":4,"o_z":0,"theta":400}})"},
    {"component:movement_sensor", "Orientation", "", R"({"orientation":{}})"},
    {"component:movement_sensor", "Orientation", "orientation {}",
     R"({"orientation":{"o_x":0,"o_y":0,"o_z":0,"theta":0}})"},

    {"component:power_sensor", "Voltage", "volts: 12.1 is_ac: true",
     R"({"volts":12.1,"is_ac":true})"},
    {"component:power_sensor", "Voltage", "", R"({"volts":0,"is_ac":false})"},
    {"component:power_sensor", "Current", "amperes: -0.5 is_ac: true",
     R"({"amperes":-0.5,"is_ac":true})"},
    {"component:power_sensor", "Current", "", R"({"amperes":0,"is_ac":false})"},
    {"component:power_sensor", "Power", "watts: 1e300", R"({"watts":1e300})"},
    {"component:power_sensor", "Power", "", R"({"watts":0})"},
    {"component:power_sensor", "Power", "watts: inf", R"({"watts":"@inf"})"},

    {"component:servo", "Position", "position_deg: 180", R"({"position_deg":180})"},
    {"component:servo", "Position", "position_deg: 4294967295", R"({"position_deg":4294967295})"},
    {"component:servo", "Position", "", R"({"position_deg":0})"},

    {"service:slam", "Position", "pose {x: 1 y: 2 z: 3 o_x: 4 o_y: 5 o_z: 6 theta: 7}",
     R"({"pose":{"x":1,"y":2,"z":3,"o_x":4,"o_y":5,"o_z":6,"theta":7}})"},
    {"service:slam", "Position", "", R"({"pose":{}})"},
};

inline const std::vector<Golden> kWorldPose = {
    {"", "GetWorldPose", "pose {x: 1 y: -2.5 z: 3 o_x: 0 o_y: 0 o_z: 1 theta: 45}",
     R"({"pose":{"x":1,"y":-2.5,"z":3,"o_x":0,"o_y":0,"o_z":1,"theta":45}})"},
    {"", "GetWorldPose", "", R"({"pose":{}})"},
    {"", "GetWorldPose", "pose {theta: nan}",
     R"({"pose":{"x":0,"y":0,"z":0,"o_x":0,"o_y":0,"o_z":0,"theta":"@nan"}})"},
};
inline const std::vector<std::string> kComponents = {
    "arm",    "audio_in",        "audio_out",    "base",         "board",   "button",
    "camera", "encoder",         "gantry",       "generic",      "gripper", "input_controller",
    "motor",  "movement_sensor", "pose_tracker", "power_sensor", "sensor",  "servo",
    "switch"};

inline const std::vector<Golden> kReadings = {
    {"", "Readings", "", R"({"readings":{}})"},
    {"", "Readings",
     R"(readings {key: "n" value {number_value: 0.1}}
        readings {key: "b" value {bool_value: false}}
        readings {key: "none" value {}}
        readings {key: "null" value {null_value: NULL_VALUE}}
        readings {key: "s" value {string_value: "text"}}
        readings {key: "" value {list_value {values {number_value: nan} values {} }}})",
     R"({"readings":{"n":0.1,"b":false,"none":null,"null":null,"s":"text","":["NaN",null]}})"},
    {"", "Readings",
     R"(readings {key: "a" value {number_value: inf}}
        readings {key: "m" value {struct_value {
          fields {key: "i" value {number_value: -inf}}
          fields {key: "l" value {list_value {}}}
          fields {key: "o" value {struct_value {}}}}}})",
     R"({"readings":{"a":"Infinity","m":{"i":"-Infinity","l":[],"o":{}}}})"},
    // As sent: the reference's client cuts such an object down to the keys of its type, or panics
    // where one of them is missing.
    {"", "Readings",
     R"(readings {key: "v" value {struct_value {
          fields {key: "_type" value {string_value: "vector3"}}
          fields {key: "x" value {number_value: 1}}
          fields {key: "more" value {bool_value: true}}}}})",
     R"({"readings":{"v":{"_type":"vector3","x":1,"more":true}}})"},
};
inline const std::vector<std::string> kSensors = {"movement_sensor", "power_sensor", "sensor"};

inline const std::vector<Golden> kDoCommand = {
    {"", "DoCommand", "", R"({"docommand_output":{}})"},
    {"", "DoCommand", "result {}", R"({"docommand_output":{}})"},
    {"", "DoCommand",
     R"(result {fields {key: "ok" value {bool_value: true}}
                fields {key: "n" value {number_value: nan}}
                fields {key: "v" value {struct_value {
                  fields {key: "_type" value {string_value: "vector3"}}}}}})",
     R"({"docommand_output":{"ok":true,"n":"NaN","v":{"_type":"vector3"}}})"},
};
inline const std::vector<std::string> kCommanded = {"component:arm",
                                                    "component:audio_in",
                                                    "component:base",
                                                    "component:board",
                                                    "component:button",
                                                    "component:camera",
                                                    "component:encoder",
                                                    "component:gantry",
                                                    "component:generic",
                                                    "component:gripper",
                                                    "component:input_controller",
                                                    "component:motor",
                                                    "component:movement_sensor",
                                                    "component:pose_tracker",
                                                    "component:power_sensor",
                                                    "component:sensor",
                                                    "component:servo",
                                                    "component:switch",
                                                    "service:slam",
                                                    "service:vision",
                                                    "service:base_remote_control",
                                                    "service:discovery",
                                                    "service:generic",
                                                    "service:motion",
                                                    "service:navigation",
                                                    "service:shell"};

inline std::vector<Golden> AllGolden() {
  std::vector<Golden> all = kTyped;
  const auto add = [&all](const std::string& api, const std::vector<Golden>& cases) {
    for (Golden golden : cases) {
      golden.api = api;
      all.push_back(std::move(golden));
    }
  };
  for (const std::string& component : kComponents) add("component:" + component, kWorldPose);
  for (const std::string& sensor : kSensors) add("component:" + sensor, kReadings);
  for (const std::string& api : kCommanded) add(api, kDoCommand);
  return all;
}

}  // namespace datamanager::testing

#endif  // DATAMANAGER_TESTS_CAPTURE_GOLDEN_H_
