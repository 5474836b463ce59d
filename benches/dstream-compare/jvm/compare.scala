// W1 to W6 with the streams of Spark, run by its shell: see compare.py, which sets the properties.
import java.lang.management.ManagementFactory
import java.util.concurrent.CountDownLatch

import scala.collection.mutable

import org.apache.spark.rdd.RDD
import org.apache.spark.storage.StorageLevel
import org.apache.spark.streaming._
import org.apache.spark.streaming.dstream.DStream
import org.apache.spark.streaming.scheduler._

val data = System.getProperty("dstream.data")
val only = System.getProperty("dstream.only")
val batches = System.getProperty("dstream.batches").toInt
val system = ManagementFactory.getOperatingSystemMXBean.asInstanceOf[com.sun.management.OperatingSystemMXBean]

def median(xs: Seq[Double]) = xs.sorted.apply(xs.size / 2)

/** Runs `n` batches of a pipeline and prints the medians of the second half, when the JIT has done its work. */
def run(name: String, n: Int, records: Long)(pipeline: StreamingContext => DStream[_]): Unit = {
  val ssc = new StreamingContext(sc, Milliseconds(500))
  ssc.checkpoint(System.getProperty("dstream.checkpoint") + "/" + name)
  val cpu = mutable.ArrayBuffer[Long]()
  val wall = mutable.ArrayBuffer[Long]()
  val done = new CountDownLatch(n)
  ssc.addStreamingListener(new StreamingListener {
    override def onBatchStarted(batch: StreamingListenerBatchStarted): Unit = cpu += system.getProcessCpuTime
    override def onBatchCompleted(batch: StreamingListenerBatchCompleted): Unit = {
      cpu += system.getProcessCpuTime
      wall += batch.batchInfo.processingDelay.getOrElse(0L)
      val failures = batch.batchInfo.outputOperationInfos.values.flatMap(_.failureReason)
      failures.headOption.filter(_ => done.getCount > 0).foreach { reason =>
        println(s"FAILED $name $reason")
        sys.exit(1)
      }
      done.countDown()
    }
  })
  pipeline(ssc)
  ssc.start()
  done.await()
  ssc.stop(stopSparkContext = false, stopGracefully = false)
  val times = cpu.grouped(2).filter(_.size == 2).map(x => (x(1) - x(0)) / 1e6).toSeq.take(n)
  val (c, w) = (median(times.drop(n / 2)), median(wall.take(n).drop(n / 2).map(_.toDouble)))
  println(f"RESULT $name cpu_ms_a_batch $c%.1f wall_ms_a_batch $w%.1f cpu_ns_a_record ${c * 1e6 / records}%.1f")
}

def queue[T: scala.reflect.ClassTag](ssc: StreamingContext, rdds: Seq[RDD[T]], n: Int): DStream[T] =
  ssc.queueStream(mutable.Queue(Seq.tabulate(n + 4)(at => rdds(at % rdds.size)): _*), oneAtATime = true)

def texts(kind: String, n: Int, last: Int)(ssc: StreamingContext) =
  queue(ssc, (0 to last).map(at => sc.textFile(s"$data/$kind-$at.txt", 2)), n)

def words(lines: DStream[String]) = lines.flatMap(_.split(" ")).map((_, 1L))

def top(counts: DStream[(String, Long)]) = {
  counts.foreachRDD { rdd =>
    // States and windows with an inverse are kept already.
    val keep = rdd.getStorageLevel == StorageLevel.NONE
    if (keep) rdd.cache()
    print(s"${rdd.count()} keys, ${rdd.top(10)(Ordering.by(_.swap)).headOption}\r")
    if (keep) rdd.unpersist()
  }
  counts
}

val lines = scala.io.Source.fromFile(s"$data/zipf-0.txt").getLines.size.toLong
val n = batches
def wanted(name: String) = only.isEmpty || only.split(",").exists(name.startsWith)
val add = (a: Long, b: Long) => a + b

if (wanted("w1-zipf")) run("w1-zipf", n, lines * 10)(ssc => top(words(texts("zipf", n, 3)(ssc)).reduceByKey(add)))
if (wanted("w1-uniform")) run("w1-uniform", n, lines * 10)(ssc => top(words(texts("uniform", n, 3)(ssc)).reduceByKey(add)))
if (wanted("w2")) run("w2", n, lines) { ssc =>
  val found = texts("zipf", n, 3)(ssc).filter(_.contains("abc")).count()
  found.foreachRDD(rdd => print(s"${rdd.collect().mkString}\r"))
  found
}
if (wanted("w3-update")) run("w3-update", n, lines * 10) { ssc =>
  top(words(texts("zipf", n, 3)(ssc)).updateStateByKey((now: Seq[Long], old: Option[Long]) => Some(old.getOrElse(0L) + now.sum)))
}
if (wanted("w3-map")) run("w3-map", n, lines * 10) { ssc =>
  val spec = StateSpec.function { (word: String, one: Option[Long], total: State[Long]) =>
    total.update(total.getOption.getOrElse(0L) + one.getOrElse(0L))
  }
  val mapped = words(texts("zipf", n, 3)(ssc)).mapWithState(spec)
  mapped.foreachRDD(rdd => rdd.count())
  top(mapped.stateSnapshots())
}
if (wanted("w4-inverse")) run("w4-inverse", n + 10, lines * 10) { ssc =>
  top(words(texts("zipf", n + 10, 3)(ssc)).reduceByKeyAndWindow(add, (a: Long, b: Long) => a - b, Seconds(5), Milliseconds(500), 2, (pair: (String, Long)) => pair._2 > 0))
}
if (wanted("w4-max")) run("w4-max", n + 10, lines * 10) { ssc =>
  val lengths = texts("zipf", n + 10, 3)(ssc).flatMap(line => line.split(" ").map((_, line.length.toLong)))
  top(lengths.reduceByKeyAndWindow((a: Long, b: Long) => math.max(a, b), Seconds(5), Milliseconds(500)))
}
if (wanted("w5")) run("w5", 4 * n, 400000) { ssc =>
  def side(name: String) = queue(ssc, Seq(sc.textFile(s"$data/$name.txt", 2).map { line =>
    val Array(key, value) = line.split(" ")
    (key.toLong, value.toLong)
  }.cache()), 4 * n)
  val pairs = side("left").join(side("right")).count()
  pairs.foreachRDD(rdd => print(s"${rdd.collect().mkString}\r"))
  pairs
}
if (wanted("w6")) run("w6", 10 * n, 10000)(ssc => top(words(texts("small", 10 * n, 99)(ssc)).reduceByKey(add)))
sys.exit(0)
