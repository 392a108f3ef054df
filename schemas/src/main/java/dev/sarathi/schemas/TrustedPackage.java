package dev.sarathi.schemas;

import org.apache.avro.Conversion;
import org.apache.avro.util.ClassSecurityValidator;

/**
 * Has Avro trust the classes of this package; not for use by applications.
 *
 * <p>Since 1.12.2, Avro makes no instance of a class that it was not told to trust, and so the
 * builders of generated classes fail on the defaults of nested records and enums. Generated code
 * offers no place to say so. But Avro looks up conversions whenever a data model is made, which is
 * the first thing that a generated class does: this one converts nothing and is there to be loaded
 * in time.
 */
public final class TrustedPackage extends Conversion<Void> {

  static {
    // Whom else the application trusts stays as it is.
    ClassSecurityValidator.setGlobal(
        ClassSecurityValidator.composite(
            ClassSecurityValidator.getGlobal(),
            type -> type.getPackage() == TrustedPackage.class.getPackage()));
  }

  @Override
  public Class<Void> getConvertedType() {
    return Void.class;
  }

  @Override
  public String getLogicalTypeName() {
    return "dev.sarathi.none";
  }
}
