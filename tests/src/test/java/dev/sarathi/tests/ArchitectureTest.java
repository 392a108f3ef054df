package dev.sarathi.tests;

import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.importer.ImportOption.DoNotIncludeTests;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import dev.sarathi.runtime.schedule.Batch;

/** The arrows between modules and packages. A rule without classes to check fails. */
@AnalyzeClasses(packages = "dev.sarathi", importOptions = DoNotIncludeTests.class)
class ArchitectureTest {
  @ArchTest
  static final ArchRule theEngineShouldKnowNothingOfKafka =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.runtime..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "org.apache.kafka..",
              "org.apache.avro..",
              "io.confluent..",
              "dev.sarathi.schemas..",
              "dev.sarathi.streams..",
              "dev.sarathi.connect..");

  @ArchTest
  static final ArchRule theDataContractsShouldKnowNothingOfTheirUsers =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.schemas..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "dev.sarathi.runtime..", "dev.sarathi.streams..", "dev.sarathi.connect..");

  @ArchTest
  static final ArchRule theDataContractsShouldKnowNothingOfBatchFiles =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.schemas")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.schemas.batch..");

  @ArchTest
  static final ArchRule theProcessorShouldNotKnowTheConnectors =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.streams..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.connect..");

  @ArchTest
  static final ArchRule theConnectorsShouldNotKnowTheProcessor =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.connect..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.streams..");

  @ArchTest
  static final ArchRule theEngineShouldBeLayered =
      layeredArchitecture()
          .consideringOnlyDependenciesInLayers()
          .layer("benchmark")
          .definedBy("dev.sarathi.runtime.benchmark..")
          .layer("capacity")
          .definedBy("dev.sarathi.runtime.capacity..")
          .layer("trace")
          .definedBy("dev.sarathi.runtime.trace..")
          .layer("engine")
          .definedBy("dev.sarathi.runtime")
          .layer("constrain")
          .definedBy("dev.sarathi.runtime.constrain..")
          .layer("execute")
          .definedBy("dev.sarathi.runtime.execute..")
          .layer("schedule")
          .definedBy("dev.sarathi.runtime.schedule..")
          .layer("cache")
          .definedBy("dev.sarathi.runtime.cache..")
          .layer("model")
          .definedBy("dev.sarathi.runtime.model..")
          .layer("text")
          .definedBy("dev.sarathi.runtime.text..")
          .whereLayer("benchmark")
          .mayOnlyAccessLayers("capacity", "engine", "execute", "schedule", "cache", "model")
          .whereLayer("capacity")
          .mayOnlyAccessLayers("trace", "engine", "execute", "schedule", "cache")
          .whereLayer("trace")
          .mayOnlyAccessLayers("engine", "schedule")
          .whereLayer("engine")
          .mayOnlyAccessLayers("constrain", "execute", "schedule", "cache", "model", "text")
          .whereLayer("constrain")
          .mayOnlyAccessLayers("schedule")
          .whereLayer("execute")
          .mayOnlyAccessLayers("schedule", "model")
          .whereLayer("schedule")
          .mayOnlyAccessLayers("cache")
          .whereLayer("cache")
          .mayNotAccessAnyLayer()
          .whereLayer("model")
          .mayNotAccessAnyLayer()
          .whereLayer("text")
          .mayNotAccessAnyLayer();

  /**
   * So that what is measured, simulated or traced is what ships; warm-up and calibration schedule
   * nothing.
   */
  @ArchTest
  static final ArchRule onlyThePoliciesShouldComposeBatches =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.sarathi.runtime.schedule..")
          .and()
          .doNotHaveFullyQualifiedName("dev.sarathi.runtime.WarmUp")
          .and()
          .doNotHaveFullyQualifiedName("dev.sarathi.runtime.execute.Calibration")
          .should()
          .callConstructorWhere(
              target(owner(type(Batch.class))).as("the target is a constructor of Batch"));

  @ArchTest
  static final ArchRule theEngineShouldHaveNoOtherPackages =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.runtime..")
          .should()
          .resideOutsideOfPackages(
              "dev.sarathi.runtime",
              "dev.sarathi.runtime.benchmark..",
              "dev.sarathi.runtime.capacity..",
              "dev.sarathi.runtime.trace..",
              "dev.sarathi.runtime.constrain..",
              "dev.sarathi.runtime.execute..",
              "dev.sarathi.runtime.schedule..",
              "dev.sarathi.runtime.cache..",
              "dev.sarathi.runtime.model..",
              "dev.sarathi.runtime.text..");

  @ArchTest
  static final ArchRule packagesShouldBeFreeOfCycles =
      slices().matching("dev.sarathi.(*).(*)..").should().beFreeOfCycles();

  @ArchTest
  static final ArchRule internalsOfTheProcessorShouldStayInside =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.sarathi.streams..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.streams.internal..");

  @ArchTest
  static final ArchRule nothingShouldDependOnTheCommandLine =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.sarathi.streams.cli..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.streams.cli..");

  @ArchTest
  static final ArchRule theDevelopmentBrokerShouldKnowNothingOfWhatItServes =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.streams.broker..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "dev.sarathi.streams",
              "dev.sarathi.streams.application..",
              "dev.sarathi.streams.internal..",
              "dev.sarathi.runtime..",
              "dev.sarathi.schemas..");

  @ArchTest
  static final ArchRule theLibraryShouldNotKnowTheApplication =
      noClasses()
          .that()
          .resideInAnyPackage("dev.sarathi.streams", "dev.sarathi.streams.internal..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.sarathi.streams.application..", "dev.sarathi.streams.broker..");

  @ArchTest
  static final ArchRule theApplicationShouldUseTheLibraryAsOthersDo =
      noClasses()
          .that()
          .resideInAnyPackage("dev.sarathi.streams.application..", "dev.sarathi.streams.cli..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.streams.internal..");

  /** They show what anybody can write. */
  @ArchTest
  static final ArchRule theExamplesShouldUsePublicPackagesAlone =
      noClasses()
          .that()
          .resideInAPackage("dev.sarathi.examples..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "dev.sarathi.streams.*..", "dev.sarathi.runtime.*..", "dev.sarathi.connect..");

  @ArchTest
  static final ArchRule nothingShouldDependOnTheExamples =
      noClasses()
          .that()
          .resideOutsideOfPackage("dev.sarathi.examples..")
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.sarathi.examples..");

  @ArchTest
  static final ArchRule namesShouldSayWhatAClassIs =
      noClasses()
          .should()
          .haveSimpleNameEndingWith("Manager")
          .orShould()
          .haveSimpleNameEndingWith("Helper")
          .orShould()
          .haveSimpleNameEndingWith("Util")
          .orShould()
          .haveSimpleNameEndingWith("Utils")
          .orShould()
          .haveSimpleNameEndingWith("Impl");
}
