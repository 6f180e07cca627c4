// Says of pairs of messages whether protobuf's own MessageDifferencer finds them equal.
//
// Arguments: a descriptor set. Standard input, a line each: mode, type, two messages in hex ("-" for an empty one).
// Modes: equal, equivalent, set, approximate (fraction 0.01, margin 0.5).

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/field_comparator.h>
#include <google/protobuf/util/message_differencer.h>

using namespace google::protobuf;

static std::string unhex(const std::string& hex) {
  std::string bytes;
  for (size_t at = 0; at + 1 < hex.size(); at += 2) bytes += char(std::stoi(hex.substr(at, 2), nullptr, 16));
  return bytes;
}

int main(int, char** arguments) {
  std::ifstream file(arguments[1], std::ios::binary);
  std::stringstream contents;
  contents << file.rdbuf();
  FileDescriptorSet set;
  if (!set.ParseFromString(contents.str())) return 1;
  DescriptorPool pool;
  for (const auto& one : set.file()) {
    if (!pool.BuildFile(one)) return 1;
  }
  DynamicMessageFactory factory;
  std::string mode, type, first, second;
  while (std::cin >> mode >> type >> first >> second) {
    const Descriptor* descriptor = pool.FindMessageTypeByName(type);
    std::unique_ptr<Message> a(factory.GetPrototype(descriptor)->New());
    std::unique_ptr<Message> b(factory.GetPrototype(descriptor)->New());
    if (!a->ParseFromString(unhex(first)) || !b->ParseFromString(unhex(second))) {
      std::cout << "?\n";
      continue;
    }
    util::MessageDifferencer differencer;
    util::DefaultFieldComparator comparator;
    comparator.set_treat_nan_as_equal(true);
    if (mode == "equivalent") differencer.set_message_field_comparison(util::MessageDifferencer::EQUIVALENT);
    if (mode == "set") differencer.set_repeated_field_comparison(util::MessageDifferencer::AS_SET);
    if (mode == "approximate") {
      comparator.set_float_comparison(util::DefaultFieldComparator::APPROXIMATE);
      comparator.SetDefaultFractionAndMargin(0.01, 0.5);
    }
    differencer.set_field_comparator(&comparator);
    std::cout << (differencer.Compare(*a, *b) ? "equal" : "differ") << "\n";
  }
}
