// Written by the server from its own types; do not edit.

/** What is done with a frame. */
export type Action = {
  log: {
    /** How much it matters. */
    level: Level;
  };
} | {
  sample: {
    /** How much it matters. */
    level: Level;
    /** The share, from 0 to 1: 0.1 is one of ten. */
    rate: number;
  };
} | {
  redact: {
    /** The fields, as paths: see [`redact`](super::redact). */
    fields: string[];
    /** How much it matters. */
    level: Level;
  };
} | "drop";

/** What is done with a frame. */
export type ActionInput = {
  log: {
    /** How much it matters. */
    level?: Level;
  };
} | {
  sample: {
    /** How much it matters. */
    level?: Level;
    /** The share, from 0 to 1: 0.1 is one of ten. */
    rate: number;
  };
} | {
  redact: {
    /** The fields, as paths: see [`redact`](super::redact). */
    fields: string[];
    /** How much it matters. */
    level?: Level;
  };
} | "drop";

/** Which axis of the image is which, counted from 1. */
export type AxisNumbers = {
  /** The one that channels step through. */
  depth: number | null;
  spectral: number | null;
  stokes: number | null;
};

/** What became of a wish to cancel. */
export type Cancellation = {
  /** False if the job was over already, or is none of the caller's. */
  cancelled: boolean;
};

/** The colours, from small values to large ones. */
export type ColourMap = "grey" | "hot" | "cubehelix" | "viridis" | "plasma" | "inferno" | "magma";

/** What is known of a file and an image in it. */
export type Description = {
  /** The header of the image, card by card. */
  header: HeaderCard[];
  info: ImageSummary;
};

/** The way of a frame, as seen by the one who decides. */
export type Direction = "in" | "out";

/** What came. */
export type Echo = {
  /** The positional arguments, `null` if there were none. */
  args: unknown;
  /** The path. */
  path: string | null;
  /** The named arguments. */
  payload: unknown;
};

/** A file in a folder. */
export type FileEntry = {
  /** When it was last changed (RFC 3339). */
  date: string;
  /** The HDUs that are known to hold images; a listing does not look. */
  hdus: string[];
  kind: FileKind;
  name: string;
  /** Bytes. */
  size: number;
};

/** The format of a file. */
export type FileKind = "fits" | "hdf5" | "casa" | "miriad" | "unknown";

/** A folder in a folder. */
export type FolderEntry = {
  /** When it was last changed (RFC 3339). */
  date: string;
  /** How many things are in it. */
  items: number | null;
  name: string;
};

/** What a folder holds. */
export type FolderListing = {
  /** Folders in it, by name. */
  directories: FolderEntry[];
  /** Its path, `/` for the top. */
  directory: string;
  /** Images in it, by name. */
  files: FileEntry[];
  /** The path of the folder above, absent for the top. */
  parent?: string | null;
};

/** A folder. */
export type FolderName = {
  /** Its path below the top-level folder; `$BASE` is the folder to start in, empty the top. */
  directory?: string;
};

/** Which HDU of a FITS file. */
export type Hdu = number | string;

/** A card of a header. */
export type HeaderCard = {
  comment?: string;
  name: string;
  /** The value as a number, if it is one. */
  number?: number | null;
  value: string;
};

/** What a histogram is wanted of. */
export type HistogramWish = {
  /** Counted from 0; all channels together if it is absent. */
  channel?: number | null;
  /** The path of its folder, as in `list`. */
  directory?: string;
  /** Its name. */
  file: string;
  /** The number or name of the HDU; the first image if it is absent. */
  hdu?: Hdu | null;
  /** As for `statistics`. */
  stokes?: number;
};

/** A file, and an image in it. */
export type ImageName = {
  /** The path of its folder, as in `list`. */
  directory?: string;
  /** Its name. */
  file: string;
  /** The number or name of the HDU; the first image if it is absent. */
  hdu?: Hdu | null;
};

/** The most important of it. */
export type ImageSummary = {
  axes: AxisNumbers;
  /** What was worked out from the header, for people. */
  computed: HeaderCard[];
  /** When the file was last changed (RFC 3339). */
  date: string;
  /** How many axes the image has, those of length 1 among them. */
  dimensions: number;
  /** The HDU that is described. */
  hdu: string;
  /** All HDUs with images. */
  hdus: string[];
  kind: FileKind;
  name: string;
  /** Pixels along x and y, channels and polarisations. */
  shape: number[];
  /** Bytes of the file. */
  size: number;
  /** Names of the polarisations. */
  stokes: string[];
};

/** Some long work. */
export type Job = {
  jobId: number;
  /** For whom it is done. */
  principal: string;
  /** How much of it is done, from 0 to 1; absent if that is not known. */
  progress?: number | null;
  /** The session that it belongs to, if it belongs to one. */
  sessionId?: number | null;
  /** When it was begun (RFC 3339). */
  started: string;
  /** What it is, such as "cube histogram of disk.fits". */
  what: string;
};

/** A job. */
export type JobName = {
  jobId: number;
};

/** The jobs that the caller may see: all for those with the permission `admin`, else the caller's own. */
export type Jobs = {
  /** The oldest first. */
  jobs: Job[];
};

/** How much a line of the log matters. */
export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** The rules of logging. */
export type LogRulesText = {
  /** The first that matches a message decides about it. */
  rules: RuleSet;
};

/** What a frame must be like: all that is asked for. */
export type Match = {
  /** The capability of its route, without white space around it. A frame that has none does not match. */
  capability?: OneOrMore | null;
  /** Its direction, as seen by the one who decides. */
  direction?: Direction | null;
  /** Its lane, or the lane that follows from its route. */
  lane?: OneOrMore | null;
  /** Not larger than this. */
  maxBytes?: number | null;
  /** Not smaller than this, in bytes of UTF-8. */
  minBytes?: number | null;
  /** Its type. */
  type?: OneOrMore | null;
};

/** A message for everybody. */
export type MessageText = {
  /** Empty for none; at most 4096 characters. */
  text: string;
};

/** The numbers of the server. */
export type Metrics = {
  /** When they were read (RFC 3339). */
  at: string;
  /** By name with labels, as Prometheus writes them. Buckets of histograms are left out. */
  values: Record<string, number>;
};

/** How often the metrics are wanted. */
export type MetricsPeriod = {
  /** Milliseconds between two updates, at least 250; 1000 if it is absent. */
  periodMs?: number | null;
};

/** Nothing but that it is done. */
export type Nothing = Record<string, unknown>;

/** One pattern, or several of which one must match; `*` stands for anything in them. */
export type OneOrMore = string | string[];

/** A histogram. */
export type PixelHistogram = {
  binWidth: number | null;
  /** How many pixels are in each bin; none if no pixel has a value. */
  bins: number[];
  /** The centre of the first bin. */
  firstBinCentre: number | null;
  /** Of the pixels, not of the bins. */
  mean: number | null;
  /** The standard deviation of the pixels. */
  sigma: number | null;
};

/** A pixel in all channels. */
export type PixelName = {
  /** The path of its folder, as in `list`. */
  directory?: string;
  /** Its name. */
  file: string;
  /** The number or name of the HDU; the first image if it is absent. */
  hdu?: Hdu | null;
  /** As for `statistics`. */
  stokes?: number;
  /** Column, counted from 0. */
  x: number;
  /** Row, counted from 0. */
  y: number;
};

/** PixelStatistics of the finite pixels; `null` where there are too few of them. */
export type PixelStatistics = {
  /** The sum divided by the area of the beam in pixels; `null` if there is no beam. */
  fluxDensity: number | null;
  max: number | null;
  mean: number | null;
  min: number | null;
  /** How many are not. */
  nanCount: number;
  /** How many pixels are finite. */
  numPixels: number;
  rms: number | null;
  /** The standard deviation. */
  sigma: number | null;
  sum: number | null;
  /** The sum of the squares. */
  sumSq: number | null;
};

/** A plane of an image. */
export type PlaneName = {
  /** Counted from 0; the first if it is absent. */
  channel?: number;
  /** The path of its folder, as in `list`. */
  directory?: string;
  /** Its name. */
  file: string;
  /** The number or name of the HDU; the first image if it is absent. */
  hdu?: Hdu | null;
  /**
   * The place on the polarisation axis, counted from 0, or 13 to 17 for total and linear polarised intensity, the
   * same as fractions, and the angle, which are computed.
   */
  stokes?: number;
};

/** The statistics of a plane. */
export type PlaneStatistics = {
  statistics: PixelStatistics;
  /** The unit of the pixels, empty if it is not known. */
  unit: string;
};

/** A picture. */
export type PngPicture = {
  height: number;
  /** The value of the last colour. */
  max: number | null;
  /** The value of the first colour; `null` if no pixel has a value. */
  min: number | null;
  /**
   * A PNG file in base64 (RFC 4648, section 4). The last row of the image is at the top; pixels without a value are
   * transparent.
   */
  png: string;
  width: number;
};

/** How a plane is to be drawn. */
export type PngWish = {
  /** Counted from 0; the first if it is absent. */
  channel?: number;
  colourMap?: ColourMap;
  /** The path of its folder, as in `list`. */
  directory?: string;
  /** Its name. */
  file: string;
  /** The exponent of stretch `gamma`; 1 if it is absent. */
  gamma?: number | null;
  /** The number or name of the HDU; the first image if it is absent. */
  hdu?: Hdu | null;
  /** The value of the last colour; goes with `min`. */
  max?: number | null;
  /** The value of the first colour; goes with `max`. */
  min?: number | null;
  /**
   * How many percent of the picture's pixels lie between the limits; 99.5 if nothing is said. Not with `min` and
   * `max`.
   */
  percentile?: number | null;
  /**
   * The place on the polarisation axis, counted from 0, or 13 to 17 for total and linear polarised intensity, the
   * same as fractions, and the angle, which are computed.
   */
  stokes?: number;
  stretch?: Stretch;
  /**
   * The largest width in pixels, at most 2048; 512 if it is absent. The picture is made smaller by a whole factor, by
   * means of the finite pixels.
   */
  width?: number | null;
};

/** What is done with some frames. */
export type Rule = {
  /** What is done with them. */
  action: Action;
  /** Which frames; all, if nothing is asked for. */
  match: Match;
};

/** What is done with some frames. */
export type RuleInput = {
  /** What is done with them. */
  action: ActionInput;
  /** Which frames; all, if nothing is asked for. */
  match?: Match;
};

/** Rules in order: the first that matches decides. */
export type RuleSet = {
  /** What is done with frames that no rule matches: by default they are dropped. */
  default: Action;
  /** At most 256. */
  rules: Rule[];
};

/** Rules in order: the first that matches decides. */
export type RuleSetInput = {
  /** What is done with frames that no rule matches: by default they are dropped. */
  default?: ActionInput;
  /** At most 256. */
  rules?: RuleInput[];
};

/** An action of a page. */
export type ScriptAction = {
  /** The name of its method. */
  action: string;
  /** Whether the page answers at once, without waiting for the action to end. */
  async?: boolean;
  /** The arguments of the method. */
  parameters?: unknown[];
  /** The dotted path of the object in the page; empty for the application object. */
  path?: string;
  /** The dotted path of what is wanted of the result; all of it if it is absent. */
  returnPath?: string;
  sessionId: number;
  /** How long the answer is waited for, in milliseconds, but no longer than the call may take. */
  timeoutMs?: number | null;
};

/** What the page answered. */
export type ScriptResult = {
  /** The result of the action, absent if there is none. */
  response?: unknown;
};

/** How the server is. */
export type ServerHealth = {
  /** How many jobs are listed. */
  jobs: number;
  /** Bytes of memory that the process occupies, if that is known. */
  residentBytes: number | null;
  /** `ok`. */
  status: string;
};

/** What the server is. */
export type ServerVersion = {
  /** The versions of the CARTA interface that are spoken. */
  icd: number[];
  /** How long it has been running, in milliseconds. */
  uptimeMs: number;
  /** Of Chartroom. */
  version: string;
};

/** A session of a CARTA page. */
export type Session = {
  /** Bytes of requests since it came into memory. */
  bytesIn: number;
  /** Bytes of messages to its page since then. */
  bytesOut: number;
  /** After how many milliseconds it ends unless its page comes back; absent while that is connected. */
  endsInMs?: number | null;
  /** How many files are open in it; absent if that is not known. */
  filesOpen?: number | null;
  /** When its page last asked for something (RFC 3339); absent if that is not known any more. */
  lastActivity?: string | null;
  /** Whether it is the caller's. */
  own: boolean;
  /** Whose it is. */
  principal: string;
  /** Bytes that wait for its page. */
  queuedBytes: number;
  sessionId: number;
  /** Since when it is in this state (RFC 3339). */
  since: string;
  state: SessionState;
};

/** A session. */
export type SessionName = {
  sessionId: number;
};

/** What a session is doing. */
export type SessionState = "live" | "parked" | "stored";

/** The sessions that the caller may see: all for those with the permission `admin`, else the caller's own. */
export type Sessions = {
  /** In order of their numbers. */
  sessions: Session[];
};

/** The spectrum of a pixel. */
export type Spectrum = {
  /** What the coordinates are (CTYPE). */
  axis?: string | null;
  /** Where the channels are on the spectral axis; absent if that is not known. */
  coordinates?: number[] | null;
  /** The unit of the coordinates. */
  unit?: string | null;
  /** The unit of the values, empty if it is not known. */
  valueUnit: string;
  /** By channel; `null` where there is no value. */
  values: (number | null)[];
};

/** How values between the limits are spread over the colours. */
export type Stretch = "linear" | "log" | "sqrt" | "square" | "power" | "gamma" | "asinh" | "sinh";

/** What can be called, emitted and subscribed to, by capability and path. */
export interface Capabilities {
  /** Folders and files below the top-level folder; nothing else can be seen. */
  "chartroom.files@1": {
    calls: {
      /** What is known of a file and an image in it. */
      info: {
        payload: ImageName;
        result: Description;
      };
      /** What a folder holds: images, by their content, and folders. */
      list: {
        payload: FolderName;
        result: FolderListing;
      };
    };
    events: {};
    streams: {};
  };
  /** Numbers about images, and pictures of them. Everything can be cancelled and tells its progress. */
  "chartroom.image@1": {
    calls: {
      /** The histogram of a plane, or of all channels. */
      histogram: {
        payload: HistogramWish;
        result: PixelHistogram;
      };
      /** A picture of a plane. */
      png: {
        payload: PngWish;
        result: PngPicture;
      };
      /** The values of a pixel in all channels. */
      spectrum: {
        payload: PixelName;
        result: Spectrum;
      };
      /** The statistics of a plane. */
      statistics: {
        payload: PlaneName;
        result: PlaneStatistics;
      };
    };
    events: {};
    streams: {};
  };
  /** Long work under way: calls about images, and what pages have asked for that takes long. */
  "chartroom.jobs@1": {
    calls: {
      /** Stops a job; one of somebody else only with the permission `admin`. */
      cancel: {
        payload: JobName;
        result: Cancellation;
      };
      /** The jobs that the caller may see. */
      list: {
        result: Jobs;
      };
    };
    events: {};
    streams: {
      /** The same, again whenever something has changed. */
      watch: {
        update: Jobs;
      };
    };
  };
  /** Actions carried out by the page of a session; needs the permission `script`. */
  "chartroom.scripting@1": {
    calls: {
      /** Has the page of one of the caller's sessions carry out an action, and gives its answer. */
      call: {
        payload: ScriptAction;
        result: ScriptResult;
      };
    };
    events: {};
    streams: {};
  };
  /** The server itself. */
  "chartroom.server@1": {
    calls: {
      /** How the server is. */
      health: {
        result: ServerHealth;
      };
      /** Which messages are written to the log. */
      logRules: {
        result: LogRulesText;
      };
      /** Changes that, until the server stops; needs the permission `admin`. */
      setLogRules: {
        payload: LogRulesText;
        result: Record<string, never>;
      };
      /** What the server is, and for how long it has been running. */
      version: {
        result: ServerVersion;
      };
    };
    events: {};
    streams: {
      /** The numbers of the server, again and again. */
      metrics: {
        payload: MetricsPeriod;
        update: Metrics;
      };
    };
  };
  /** Sessions of CARTA pages, and the message of the day. */
  "chartroom.sessions@1": {
    calls: {
      /** Ends a session at once; one of somebody else only with the permission `admin`. */
      end: {
        payload: SessionName;
        result: Nothing;
      };
      /** The sessions that the caller may see. */
      list: {
        result: Sessions;
      };
      /** A message for everybody, empty if there is none. */
      messageOfTheDay: {
        result: MessageText;
      };
      /** Changes the message; needs the permission `admin`. */
      setMessageOfTheDay: {
        payload: MessageText;
        result: Nothing;
      };
    };
    events: {};
    streams: {
      /** The same, again and again: when something changes, and each second while numbers move. */
      watch: {
        update: Sessions;
      };
    };
  };
  /** Gives back what it gets. */
  "echo@1": {
    calls: {
      "*": {
        args: unknown[];
        payload: Record<string, unknown>;
        result: Echo;
      };
      /** The arguments and the path of the message. */
      say: {
        args: unknown[];
        payload: Record<string, unknown>;
        result: Echo;
      };
    };
    events: {};
    streams: {};
  };
}
